from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    name = "apps.portal"
    verbose_name = _("Portal")


class PortalAdminConfig(AdminConfig):
    """Django's admin with our site: every app's `@admin.register` lands in the portal's shell."""

    default_site = "apps.portal.site.PortalSite"
