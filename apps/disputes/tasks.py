"""The clock of disputes, tickets and maintenance: a wake-up; what is due or over is decided by the rows."""

from celery import shared_task
from django.utils import timezone

from apps.accounts.models import User
from apps.core import ticks
from apps.disputes.clock import run_clock
from apps.disputes.maintenance import close_maintenance
from apps.disputes.models import Maintenance


@shared_task(name="disputes.clock")
def clock() -> dict[str, int]:
    by = User.objects.machine("clock")
    over = Maintenance.objects.over(timezone.now()).select_related("service__provider")
    return {"closed": ticks.each(over, lambda row: close_maintenance(row, by=by)), **run_clock()}
