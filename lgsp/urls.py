"""URLs of the portal process. The gateway's are in `lgsp/gateway.py`."""

from allauth.account import views as account
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib import admin
from django.http import Http404
from django.urls import include, path, re_path
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.core import health
from apps.core.api.schema import OnceGenerator
from apps.portal import fitness
from apps.portal.views import cures, home


def closed(request, **kwargs):
    """allauth's own pages we do not offer (self-registration, changing the address) but whose names it resolves."""
    raise Http404


accounts = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path("password/reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("signup/", closed, name="account_signup"),
    path("email/", closed, name="account_email"),
    path("password/set/", closed, name="account_set_password"),
    path("confirm-email/", closed, name="account_email_verification_sent"),
    path("confirm-email/<str:key>/", closed, name="account_confirm_email"),
]

docs = csp_replace(settings.DOCS_CSP)(SpectacularSwaggerSplitView.as_view(url_name="schema"))

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", fitness.ready, name="readyz"),
    path("metrics", fitness.metrics, name="metrics"),
    path("accounts/", include(accounts)),
    path("language/", set_language, name="set_language"),
    path("api/v1/", include("lgsp.api_urls")),
    path("api/schema/", SpectacularAPIView.as_view(generator_class=OnceGenerator), name="schema"),
    path("api/docs/", docs, name="docs"),
    path("admin/", admin.site.urls),
    path("", home.start),
    path("go/<slug:fix>/", cures.cure, name="cure"),
    path("portal/", home.home, name="home"),
    path("portal/", include("apps.portal.urls")),
]

handler400 = "apps.portal.errors.bad_request"
handler403 = "apps.portal.errors.permission_denied"
handler404 = "apps.portal.errors.not_found"
handler500 = "apps.portal.errors.server_error"
