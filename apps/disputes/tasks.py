"""The clock of disputes and maintenance: late levels are told once, what is over is put away; the rows decide what is due."""

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.accounts.models import User
from apps.connections.announcements import people
from apps.disputes.maintenance import close_maintenance
from apps.disputes.models import Dispute, Maintenance
from apps.notices.actions import notify
from apps.organizations.choices import Role


@shared_task(name="disputes.clock")
def clock() -> int:
    now, by = timezone.now(), User.objects.machine("clock")
    closed = sum(close_maintenance(row, by=by) for row in Maintenance.objects.over(now).select_related("service__provider"))
    return closed + sum(
        _tell_late(dispute, now) for dispute in Dispute.objects.late(now).filter(reminded_at__isnull=True)[:500]
    )


@transaction.atomic
def _tell_late(dispute: Dispute, now) -> int:
    if not Dispute.objects.running().filter(pk=dispute.pk, reminded_at__isnull=True).update(reminded_at=now):
        return 0
    both = [dispute.raised_for_id, dispute.respondent_id]
    recipients = [person for role in (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER) for person in people(role, both)]
    notify(
        [*recipients, *people(Role.OPERATOR)], "dispute.late", key=f"dispute.late:{dispute.uuid}:{dispute.status}",
        message=N_("Dispute %(number)s is late; it may be taken one level up."), url=f"/portal/disputes/{dispute.uuid}/",
        number=dispute.number,
    )  # fmt: skip
    return 1
