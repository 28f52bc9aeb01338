"""Reading bodies with a limit: DRF reads a stream past Django's own cap, and Python's JSON reader dives as deep as asked."""

from __future__ import annotations

import io

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

from apps.core.text import is_storable

MAX_BODY = 5 * 1024 * 1024


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = _("The request is too large.")
    default_code = "too_large"


class BoundedJSONParser(JSONParser):
    """JSON of at most MAX_BODY bytes and of sane depth; text that no database column can hold is refused too."""

    def parse(self, stream, media_type=None, parser_context=None):
        content = stream.read(MAX_BODY + 1)
        if len(content) > MAX_BODY:
            raise BodyTooLarge
        try:
            parsed = super().parse(io.BytesIO(content), media_type, parser_context)
            if (b"\\u0000" in content or b"\\ud" in content.lower()) and not is_storable(parsed):
                raise ParseError  # told below
            return parsed
        except (RecursionError, UnicodeDecodeError, ParseError) as error:
            raise ParseError(_("The request cannot be read as JSON.")) from error
