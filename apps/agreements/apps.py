from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AgreementsConfig(AppConfig):
    name = "apps.agreements"
    verbose_name = _("Agreements")

    def ready(self) -> None:
        from apps.agreements.continuation import keeps_sides
        from apps.connections.completeness import RULES

        RULES.append(keeps_sides)
