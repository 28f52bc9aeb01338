"""Request id and language of the portal."""

from __future__ import annotations

import contextvars
import re
import uuid

from django.utils import translation

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
_SAFE = re.compile(r"^[0-9A-Za-z-]{8,64}$")
LANGUAGE_COOKIE = "django_language"


class RequestIdMiddleware:
    """Give each request an id (a well-formed one from the proxy is kept) that logs and audit rows carry."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        given = request.headers.get("X-Request-Id", "")
        request.id = given if _SAFE.match(given) else uuid.uuid4().hex
        token = request_id.set(request.id)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-Id"] = request.id
        return response


class LanguageMiddleware:
    """Vietnamese whatever the browser says; English by the reader's own choice (cookie).

    The API alone honours Accept-Language, because there the reader is a program.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        language = self._language(request)
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    @staticmethod
    def _language(request) -> str:
        chosen = request.COOKIES.get(LANGUAGE_COOKIE, "")
        if chosen in ("vi", "en"):
            return chosen
        if request.path.startswith("/api/") and request.headers.get("Accept-Language", "").lower().startswith("en"):
            return "en"
        return "vi"
