"""OpenAPI: the problem+json answers every operation may give, documented in one place."""

from __future__ import annotations

from django.utils.translation import get_language
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class OnceGenerator(SchemaGenerator):
    """The document, made once a process for each language: everybody reads the same, and each reading took half a second of CPU."""

    made: dict[tuple, dict] = {}

    def get_schema(self, request=None, public=False):
        if not public:  # what one person may see
            return super().get_schema(request=request, public=public)
        key = get_language(), self.api_version
        if key not in self.made:
            self.made[key] = super().get_schema(request=request, public=public)
        return self.made[key]


class PortalSessionScheme(SessionScheme):
    """Tells the OpenAPI document about our subclass, which the library does not know by itself."""

    target_class = "apps.core.api.authentication.SessionAuthentication"


class ProblemSerializer(serializers.Serializer):
    """RFC 9457 body; `code` is stable, `fields` is there when the input was not valid."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField(required=False)
    request_id = serializers.CharField(required=False)
    fields = serializers.DictField(required=False)  # type: ignore[assignment]


class ProblemAutoSchema(AutoSchema):
    """Adds 400, 401, 403, 404, 409, 422 and 429 problem bodies where they can occur."""

    def _get_response_bodies(self, direction="response"):
        responses = super()._get_response_bodies(direction)
        body = self._get_response_for_code(ProblemSerializer, "400", ["application/problem+json"])
        codes = ["400", "401", "403", "429"]
        if "{" in self.path:
            codes.append("404")
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            codes += ["409", "422"]
        for code in codes:
            responses.setdefault(code, body)
        return responses
