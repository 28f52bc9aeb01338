"""Who logged in with a one-time password goes nowhere before choosing their own."""

from __future__ import annotations

from django.http import JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.api.problems import CONTENT_TYPE, problem


class PasswordChangeMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if getattr(request.user, "must_change_password", False) and not self._is_open(request.path):
            if request.path.startswith("/api/"):
                body = problem(403, "password_change_required", _("Choose a password of your own first."))
                return JsonResponse(body, status=403, content_type=CONTENT_TYPE)
            return redirect("account_change_password")
        return self.get_response(request)

    @staticmethod
    def _is_open(path: str) -> bool:
        open_pages = (reverse("account_change_password"), reverse("account_logout"), reverse("set_language"))
        return path in open_pages or path.startswith("/static/")
