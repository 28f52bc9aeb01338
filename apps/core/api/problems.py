"""problem+json (RFC 9457): one error shape for the whole API, with stable codes."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response

from apps.core.errors import DomainError, is_busy
from apps.core.middleware import request_id

CONTENT_TYPE = "application/problem+json"
TYPE_BASE = "/api/problems/"
_CODES = {400: "invalid", 401: "not_authenticated", 403: "not_permitted", 404: "not_found", 405: "method_not_allowed",
          406: "not_acceptable", 415: "unsupported_media_type", 429: "throttled"}  # fmt: skip


def problem(status: int, code: str, title: object, detail: object = "", **extra: object) -> dict:
    """Build the body. `code` is stable; `extra` holds further members."""
    body = {"type": f"{TYPE_BASE}{code}", "title": str(title), "status": status, "code": code, **extra}
    if detail:
        body["detail"] = str(detail)
    if request_id.get():
        body["request_id"] = request_id.get()
    return body


def respond(body: dict, headers: dict | None = None) -> Response:
    return Response(body, status=body["status"], content_type=CONTENT_TYPE, headers=headers)


def exception_handler(exc: Exception, context: dict) -> Response | None:
    """Turn every expected error into problem+json; unexpected ones stay exceptions (500, logged)."""
    _note_refusal(exc, context)
    if isinstance(exc, DomainError):
        return respond(problem(exc.status, exc.code, exc.title, exc.detail, **exc.extra))
    if isinstance(exc, Http404):
        return respond(problem(404, "not_found", _("Not found.")))
    if isinstance(exc, PermissionDenied):
        return respond(problem(403, "not_permitted", _("Your role does not allow this step.")))
    if isinstance(exc, DjangoValidationError):
        fields = exc.message_dict if hasattr(exc, "error_dict") else {"non_field_errors": exc.messages}
        return respond(problem(400, "invalid", _("The data is not valid."), fields=fields))
    if is_busy(exc):
        return respond(
            problem(503, "busy", _("Somebody else is working on this. Try again in a moment.")), {"Retry-After": "5"}
        )
    if isinstance(exc, exceptions.APIException):
        return _api_exception(exc)
    return None


def _api_exception(exc: exceptions.APIException) -> Response:
    headers = {}
    if getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = exc.auth_header
    if getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(exc.wait) + 1)
    code = _CODES.get(exc.status_code, str(exc.default_code))
    if isinstance(exc, exceptions.ValidationError):
        fields = exc.detail if isinstance(exc.detail, dict) else {"non_field_errors": exc.detail}
        return respond(problem(400, "invalid", _("The data is not valid."), fields=fields), headers)
    return respond(problem(exc.status_code, code, exc.detail), headers)


def _note_refusal(exc: Exception, context: dict) -> None:
    """Remember on the request that a step was refused; the audit floor's middleware writes it down."""
    if isinstance(exc, DomainError) and exc.status in (403, 409):
        request = context.get("request")
        if request is not None:
            getattr(request, "_request", request).refused = exc
