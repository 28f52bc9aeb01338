from __future__ import annotations

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, GrantStatus, StepKind, VersionState
from apps.organizations.choices import Role
from apps.organizations.roles import is_platform_reader, organization_ids

RUNS = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)


class StepClockQuerySet(models.QuerySet):
    def not_over(self):
        """Neither followed by another of its kind nor put aside by the sweep; the step may be done all the same (`waiting`)."""
        return self.filter(over_at__isnull=True)

    def waiting(self):
        """Those whose step is still to be taken, as the agreement stands now."""
        return self.not_over().filter(self._negotiated() | self._signed() | self._tested() | self._confirmed())

    def running(self):
        """Of these, the ones whose step can be taken now: neither the agreement nor the access to be tested is suspended."""
        grants = self._related("agreement", "grants").filter(agreement=OuterRef("agreement"), system=OuterRef("system"))
        can_test = Exists(grants.untested().filter(status=GrantStatus.ACTIVE))
        return self.waiting().filter(~Q(step=StepKind.TEST) | can_test, paused_at__isnull=True)

    def extendable_by(self, user):
        """Those to test a system of `user`'s own agency that run and were not extended yet (`actions.extension`)."""
        mine = organization_ids(user, Role.CONSUMER_OFFICER)
        return self.running().filter(step=StepKind.TEST, extended_at__isnull=True, system__organization_id__in=mine)

    def visible_to(self, user):
        """Whoever reads the agreement in full; who is joining sees until when it is to be signed; who has left sees none."""
        if is_platform_reader(user):
            return self.all()
        parties = self._related("agreement", "parties").filter(
            agreement=OuterRef("agreement"), organization_id__in=organization_ids(user), left_at__isnull=True
        )
        return self.filter(Exists(parties.bound()) | Q(Exists(parties), step=StepKind.SIGN))

    def due(self, step: str, **which):
        """The due moment of the running clock of `step` that `which` (lookups, with `OuterRef`) names, for an annotation."""
        return Subquery(self.not_over().filter(step=step, **which).order_by("-pk").values("due_at")[:1])

    def _related(self, name: str, rows: str):
        return self.model._meta.get_field(name).related_model._meta.get_field(rows).related_model.objects

    def _negotiated(self) -> Q:
        return Q(step=StepKind.NEGOTIATE, agreement__status=AgreementStatus.NEGOTIATING)

    def _signed(self) -> Q:
        drafts = self._related("agreement", "versions").filter(agreement=OuterRef("agreement"), state=VersionState.DRAFT)
        change = Q(Exists(drafts), agreement__status__in=RUNS)
        return Q(change | Q(agreement__status=AgreementStatus.AWAITING_SIGNATURES), step=StepKind.SIGN)

    def _tested(self) -> Q:
        here = {"agreement": OuterRef("agreement"), "system": OuterRef("system")}
        told = self._related("agreement", "acceptances").filter(**here).standing()
        untested = self._related("agreement", "grants").filter(**here).untested()
        return Q(Exists(untested), ~Exists(told), step=StepKind.TEST, agreement__status__in=RUNS)

    def _confirmed(self) -> Q:
        # A test under a version that was replaced opens nothing: nobody need decide on it.
        recorded = Q(record__status=AcceptanceStatus.RECORDED, record__for_version__state=VersionState.CURRENT)
        return Q(recorded, step=StepKind.CONFIRM, agreement__status__in=RUNS)
