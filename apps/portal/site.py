"""The admin site behind the registers (organizations, services, rules): unfold's pages in the portal's shell.

It promises: nobody logs in by Django's own form (the login page, with all that guards it, is allauth's);
who has no right here gets 403, not a login loop; and the looser policy that unfold's scripts need is sent
with these pages only.
"""

from __future__ import annotations

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.sites import UnfoldAdminSite


class PortalSite(UnfoldAdminSite):
    enable_nav_sidebar = True

    def admin_view(self, view, cacheable: bool = False):
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return inner(request, *args, **kwargs)

        return csp_replace(settings.ADMIN_CSP)(guarded)

    def login(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        target = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = reverse("home")
        return redirect_to_login(target, reverse("account_login"))

    def logout(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        raise Http404  # the shell's own button posts to account_logout

    def password_change(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        return redirect("account_change_password")

    def index(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        return redirect("home")

    def search(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        raise Http404  # unfold's search would cache one person's results and skips our row scope
