from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CatalogsConfig(AppConfig):
    name = "apps.catalogs"
    verbose_name = _("Shared catalogs")
