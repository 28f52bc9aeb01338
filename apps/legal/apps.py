from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class LegalConfig(AppConfig):
    name = "apps.legal"
    verbose_name = _("Legal rules")

    def ready(self) -> None:
        from apps.legal import reference

        post_migrate.connect(reference.load, sender=self, dispatch_uid="legal.reference")
