"""Maintenance of a service that its provider announces: for all consumers at once, begun and ended by the clock (NĐ 47/2020 Điều 43).

From the announced beginning to the announced end the gateway answers 503 with `Retry-After`, by its own reading of these rows; no
state of an agreement changes. What cannot wait for the notice of the rule is `agreements.actions.suspend_service`.
"""

from __future__ import annotations

import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.offers import tell_of_service
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing
from apps.core.workflow import require
from apps.disputes.models import Maintenance
from apps.legal.announced import check_notice, local
from apps.registry.choices import ServiceStatus
from apps.registry.models import DataService


@transaction.atomic
def announce_maintenance(
    service: DataService, *, by, starts_at: datetime.datetime, ends_at: datetime.datetime, reason: str
) -> Maintenance:
    """Announce to every consumer of the service when its calls will not be answered.

    Raises NotPermitted, FactMissing (no reason, service not active), InvalidFact (`notice_too_short` with the earliest moment;
    `period`), Conflict when one is announced already.
    """
    require(by, "registry.suspend_service", service)
    if not reason.strip():
        raise FactMissing(fields={"reason": [_("Required.")]})
    service = DataService.objects.select_for_update(no_key=True).get(pk=service.pk)
    if service.status != ServiceStatus.ACTIVE:
        raise FactMissing(_("The service is not active."), code="service_not_active")
    check_notice(starts_at, ends_at)
    try:
        with transaction.atomic():
            made = Maintenance.objects.create(
                service=service, starts_at=starts_at, ends_at=ends_at, reason=reason.strip(), announced_by=by
            )
    except IntegrityError as error:
        raise Conflict(_("Maintenance of this service is announced already."), code="already_announced") from error
    raise_epoch("dataservice", service.uuid)
    audit.record("maintenance.announced", service, by=by, organizations=[service.provider], starts_at=starts_at.isoformat(),
                 ends_at=ends_at.isoformat())  # fmt: skip
    _tell(made, "announced", N_("Service %(name)s will not answer from %(start)s to %(end)s: %(reason)s"))
    return made


@transaction.atomic
def cancel_maintenance(maintenance: Maintenance, *, by) -> Maintenance:
    """Call it off, or end it sooner than announced: calls are answered from the next one on."""
    require(by, "registry.suspend_service", maintenance.service)
    if not Maintenance.objects.open().filter(pk=maintenance.pk).update(cancelled_at=timezone.now()):
        raise Conflict(_("This maintenance is over or was called off already."), code="not_open")
    maintenance.refresh_from_db()
    raise_epoch("dataservice", maintenance.service.uuid)
    audit.record("maintenance.cancelled", maintenance.service, by=by, organizations=[maintenance.service.provider])
    _tell(maintenance, "cancelled", N_("The maintenance of service %(name)s from %(start)s was called off."))
    return maintenance


@transaction.atomic
def close_maintenance(maintenance: Maintenance, *, by) -> int:
    """The clock puts away what is over, so that the next one can be announced. Returns 1, or 0 when somebody was first."""
    now = timezone.now()
    if not Maintenance.objects.open().filter(pk=maintenance.pk, ends_at__lte=now).update(ended_at=now):
        return 0
    raise_epoch("dataservice", maintenance.service.uuid)
    audit.record("maintenance.ended", maintenance.service, by=by, organizations=[maintenance.service.provider])
    return 1


def _tell(maintenance: Maintenance, event: str, message: str) -> None:
    tell_of_service(
        maintenance.service, f"maintenance.{event}", message, key=str(maintenance.uuid), start=local(maintenance.starts_at),
        end=local(maintenance.ends_at), reason=maintenance.reason,
    )  # fmt: skip
