"""Error pages of the portal in the reader's language; under /api/ the same errors are problem+json."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from apps.core.api.problems import CONTENT_TYPE, problem
from apps.core.errors import NotPermitted

_API = {
    400: ("invalid", _("The data is not valid.")),
    403: ("not_permitted", _("Your role does not allow this step.")),
    404: ("not_found", _("Not found.")),
    500: ("server_error", _("The platform made an error")),
}


def bad_request(request: HttpRequest, exception=None) -> HttpResponse:
    return _answer(request, 400)


def permission_denied(request: HttpRequest, exception=None) -> HttpResponse:
    if getattr(request, "refused", None) is None:
        request.refused = NotPermitted()  # the audit floor writes it down, as for a verb that said no (AU-01)
    return _answer(request, 403)


def not_found(request: HttpRequest, exception=None) -> HttpResponse:
    return _answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500)


def _answer(request: HttpRequest, status: int) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(problem(status, *_API[status]), status=status, content_type=CONTENT_TYPE)
    return render(request, f"{status}.html", {"request_id": getattr(request, "id", "")}, status=status)
