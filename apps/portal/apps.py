from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    default = True
    name = "apps.portal"
    verbose_name = _("Portal")


class PortalAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site: every app's `@admin.register` lands in the portal's shell."""

    default = False
    default_site = "apps.portal.site.PortalSite"
