from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CatalogsConfig(AppConfig):
    name = "apps.catalogs"
    verbose_name = _("Shared catalogs")

    def ready(self) -> None:
        from apps.catalogs import delivery
        from apps.catalogs.webhooks import CHANNEL
        from apps.notices.outbox import SENDERS

        SENDERS[CHANNEL] = delivery.send
