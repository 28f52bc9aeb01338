"""Wake-ups of the data plane's housekeeping. The rows say what is due."""

from celery import shared_task
from django.utils import timezone

from apps.accounts.models import User
from apps.gateway import actions, lineage_tables, quiet, retention


@shared_task(name="gateway.sweep_calls")
def sweep_calls() -> int:
    return actions.sweep()


@shared_task(name="gateway.look_for_silence")
def look_for_silence() -> int:
    return quiet.tell_falls(timezone.now())


@shared_task(name="gateway.keep_house")
def keep_house() -> dict[str, int]:
    """Partitions ahead, calls whose retention is over, the order of months that are over, expired tokens and keys."""
    done = {"partitions": actions.make_partitions()}
    clock = User.objects.machine("clock")
    for month in retention.due_months():
        done[f"purged_{month}"] = sum(table["gone"] for table in retention.purge_month(month, by=clock).values())
    return done | {"indexed": retention.index_months()} | actions.forget_expired()


@shared_task(name="gateway.keep_code_tables")
def keep_code_tables() -> int:
    """Tables of old and new codes: after a release, on a new day, for a new grant."""
    return lineage_tables.keep()
