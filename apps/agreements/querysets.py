from __future__ import annotations

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, GrantStatus, Side, VersionState
from apps.core.search import MOST_WORDS, SearchLine
from apps.core.text import words
from apps.legal.announced import AnnouncedQuerySet
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.choices import Environment


class AgreementQuerySet(SearchLine):
    def in_force(self):
        return self.filter(status=AgreementStatus.IN_FORCE)

    def open_to_join(self):
        """In force, and its content says that others may ask to join (NĐ 47/2020 Điều 36(4))."""
        versions = self.model._meta.get_field("versions").related_model.objects
        current = versions.filter(state=VersionState.CURRENT, content__open_to_join=True)
        return self.in_force().filter(pk__in=current.values("agreement_id"))

    def visible_to(self, user):
        """The parties, the operator, the legal officer and the auditor (NĐ 47/2020 Điều 36(5), AG-03).

        Also who is joining and who has left, of which `reading` says what they read; one whose joining was declined sees
        nothing any more.
        """
        return self._with_party(user, Q(is_joining=False) | Q(left_at__isnull=True))

    def read_in_full_by(self, user):
        """Of those, the ones whose parties, systems and history are this person's to read, as they stand now."""
        return self._with_party(user, Q(is_joining=False, left_at__isnull=True))

    def known_in_full_to(self, user):
        """The same, and those it has left, as they were."""
        return self._with_party(user, Q(is_joining=False))

    def left_by(self, user):
        """The ones it reads as a former party alone: what was valid until it left."""
        if is_platform_reader(user):
            return self.none()
        parties = self.model._meta.get_field("parties").related_model.objects.bound()
        mine = parties.filter(organization_id__in=organization_ids(user))
        # From the few that somebody left, which an index holds; not from all there are, of which the present ones are taken away.
        left = self.filter(pk__in=mine.filter(left_at__isnull=False).values("agreement_id"))
        return left.exclude(Exists(mine.filter(left_at__isnull=True, agreement=OuterRef("pk"))))

    def _with_party(self, user, bound: Q):
        if is_platform_reader(user):
            return self.all()
        # A semi-join, which the database walks from the newest row on; a join would need DISTINCT over the whole table.
        parties = self.model._meta.get_field("parties").related_model.objects
        return self.filter(Exists(parties.filter(bound, agreement=OuterRef("pk"), organization_id__in=organization_ids(user))))

    def with_reach(self, user):
        """Each row with `read_until` (`reach`), `owes`, whether a duty of one's own is open, and `ends`, for `reading.as_read`."""
        parties = self.model._meta.get_field("parties").related_model.objects
        duties = self.model._meta.get_field("duties").related_model.objects.filter(
            agreement=OuterRef("pk"), done_at__isnull=True
        )
        rows = self.annotate(
            read_until=reach(parties, user), owes=Exists(duties.filter(party__organization_id__in=organization_ids(user)))
        )
        return rows.annotate(ends=Coalesce("read_until", "valid_to"))

    def in_status(self, statuses, user):
        """Rows that are in one of `statuses` as `user` reads them (`reading.as_read`)."""
        if not self.model.objects.left_by(user).exists():
            return self.filter(status__in=statuses)
        left = Q(owes=True) if AgreementStatus.ENDING in statuses else Q(pk__in=[])
        left |= Q(owes=False) if AgreementStatus.TERMINATED in statuses else Q(pk__in=[])
        return self.with_reach(user).filter(Q(read_until__isnull=True, status__in=statuses) | Q(left, read_until__isnull=False))

    def found_by(self, user, text: str):
        """`search` by what `user` reads: who is only joining does not find by whom else data is taken, nor who left by whom since."""
        full = self.read_in_full_by(user).search(text)
        wanted = words(text)[:MOST_WORDS]
        left = self.model.objects.left_by(user).prefetch_related("parties__organization") if wanted else self.none()
        found = [row.pk for row in left.with_reach(user) if _names(row, wanted)]
        return self.filter(Q(pk__in=full.values("pk")) | Q(pk__in=found)) if found else full

    def due_to_expire(self, at):
        """Those whose term is over; not where a version whose moment has come has still to begin: it may carry the term on."""
        versions = self.model._meta.get_field("versions").related_model.objects
        begun = versions.filter(agreement=OuterRef("pk"), state=VersionState.SCHEDULED, begins_at__lte=at)
        live = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
        return self.filter(~Exists(begun), status__in=live, valid_to__lte=at)


def reach(parties, user, agreement: str = "pk"):
    """Until when `user` reads the agreement: when the last of its agencies left; null for whoever reads it as it stands."""
    if is_platform_reader(user):
        return Value(None, models.DateTimeField())
    rows = parties.bound().filter(agreement=OuterRef(agreement), organization_id__in=organization_ids(user))
    return Subquery(rows.order_by(F("left_at").desc(nulls_first=True)).values("left_at")[:1])


def _names(agreement, wanted: list[str]) -> bool:
    """Whether `SearchLine.search` would find it, by number, title and the parties there were until its reader left."""
    known = [party.organization for party in agreement.parties.all() if party.joined_at < agreement.read_until]
    texts = [
        agreement.number,
        agreement.title,
        *(text for row in known for text in (row.name, row.short_name, row.code, row.old_code)),
    ]
    line = {word for text in texts for word in words(text)}
    return line.issuperset(wanted[:-1]) and any(word.startswith(wanted[-1]) for word in line)


class PartyQuerySet(models.QuerySet):
    def bound(self):
        """Who has a party's say: not who is still joining, nor whose joining was declined."""
        return self.filter(is_joining=False)

    def of_today(self):
        """Of these, who has not left; an agreement that has ended keeps the parties it ended with."""
        return self.bound().filter(left_at__isnull=True)

    def visible_to(self, user):
        """Whoever reads the agreement in full; who left those it knew; one who joins sees its providers and itself.

        With `read_until` (`reach`), after which nothing that became of the party is told (`Party.left_as_read`).
        """
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        rows = self.model.objects.filter(agreement=OuterRef("agreement"), organization_id__in=mine)
        known = Exists(rows.bound().filter(Q(left_at__isnull=True) | Q(left_at__gt=OuterRef("joined_at"))))
        joins = Q(Q(side=Side.PROVIDER) | Q(organization_id__in=mine), Exists(rows.filter(left_at__isnull=True)))
        return self.filter(known | joins).annotate(read_until=reach(self.model.objects, user, "agreement"))


class AgreementVersionQuerySet(models.QuerySet):
    def awaiting_signatures(self):
        """The content of an agreement or of a change of one that was agreed on, and that not all have signed."""
        states = (AgreementStatus.AWAITING_SIGNATURES, AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
        newer = self.model.objects.filter(agreement=OuterRef("agreement"), number__gt=OuterRef("number"))
        return self.filter(~Exists(newer), state=VersionState.DRAFT, agreement__status__in=states)

    def visible_to(self, user):
        """Whoever reads the agreement in full; who left the versions made before; one who joins the one it is to sign.

        Of the last `reading.read` tells a part.
        """
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        parties = self.model._meta.get_field("agreement").related_model._meta.get_field("parties").related_model.objects
        rows = parties.filter(agreement=OuterRef("agreement"), organization_id__in=mine)
        named = Q()
        for code in (
            rows.model._meta.get_field("organization").related_model.objects.filter(pk__in=mine).values_list("code", flat=True)
        ):
            named |= Q(content__addendum__joined__contains=code)
        to_sign = Q(named, Exists(rows.filter(left_at__isnull=True)), state=VersionState.DRAFT) if named else Q(pk__in=[])
        known = rows.bound().filter(Q(left_at__isnull=True) | Q(left_at__gt=OuterRef("created_at")))
        return self.filter(Exists(known) | to_sign)


class StandardClauseQuerySet(models.QuerySet):
    def texts_on(self, day) -> dict[str, str]:
        """Code → text of every clause in use on `day`; the newest wins."""
        rows = self.filter(effective_from__lte=day).filter(Q(effective_to__isnull=True) | Q(effective_to__gt=day))
        return dict(rows.order_by("effective_from").values_list("code", "text"))

    def first_text(self, code: str) -> str:
        """What `code` said at first: no later row changes it."""
        return self.filter(code=code).order_by("effective_from").values_list("text", flat=True).first() or ""

    def known_text(self, code: str, day) -> str:
        """What `code` said on `day` to who asked then: a text that was entered later, if for that day too, does not reach back."""
        rows = self.filter(code=code, effective_from__lte=day, created_at__date__lte=day).order_by("-effective_from")
        return rows.values_list("text", flat=True).first() or self.first_text(code)


class GrantQuerySet(models.QuerySet):
    def open(self):
        return self.exclude(status=GrantStatus.ENDED)

    def untested(self):
        """Test access that runs and of which production has not all: a test record opens the rest (WF-35)."""
        same = {name: OuterRef(name) for name in ("agreement", "system", "operation")}
        rows = self.model.objects.open().filter(is_planned=False)
        covered = rows.filter(**same, environment=Environment.PRODUCTION, fields__contains=OuterRef("fields"))
        return self.open().filter(~Exists(covered), environment=Environment.TEST, is_planned=False)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(system__organization_id__in=mine) | Q(operation__version__service__provider_id__in=mine))


class CredentialQuerySet(models.QuerySet):
    def of_use(self):
        """Whose system has access in that environment: the others open nothing, and nobody need collect or rotate them."""
        grants = self.model._meta.get_field("system").related_model._meta.get_field("grants").related_model.objects
        return self.filter(Exists(grants.open().filter(system=OuterRef("system"), environment=OuterRef("environment"))))

    def visible_to(self, user):
        """The system's own organization; platform readers see that it exists, never the secret (there is none to see)."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(system__organization_id__in=organization_ids(user))


def _of_parties(model, user):
    """Keys of the rows of `model` under agreements that `user` reads as they stand now."""
    bound = {"agreement__parties__is_joining": False, "agreement__parties__left_at__isnull": True}
    return model.objects.filter(agreement__parties__organization_id__in=organization_ids(user), **bound).values("pk")


class AcceptanceQuerySet(models.QuerySet):
    def standing(self):
        """Recorded or confirmed under the content in force."""
        return self.filter(for_version__state=VersionState.CURRENT).exclude(status=AcceptanceStatus.REJECTED)

    def visible_to(self, user):
        """The parties of the agreement and the platform's readers; who left those of its own systems."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(Q(system__organization_id__in=organization_ids(user)) | Q(pk__in=_of_parties(self.model, user)))


class DutyQuerySet(models.QuerySet):
    def owed(self):
        """Open, and due now: the agreement ends or has expired, or the party has left it."""
        over = Q(agreement__status__in=(AgreementStatus.ENDING, AgreementStatus.EXPIRED))
        return self.filter(over | Q(party__left_at__isnull=False), done_at__isnull=True)

    def visible_to(self, user):
        """The parties of the agreement and the platform's readers; who left its own."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(Q(party__organization_id__in=organization_ids(user)) | Q(pk__in=_of_parties(self.model, user)))


class DutyCertificateQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Whoever sees the duty."""
        duties = self.model._meta.get_field("duty").related_model.objects.visible_to(user)
        return self.filter(duty__in=duties.values("pk"))


class PlannedSuspensionQuerySet(AnnouncedQuerySet):
    def running(self, now):
        """Begun by now and not over, whether or not the clock has come by."""
        return self.open().filter(starts_at__lte=now, ends_at__gt=now)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        return self.filter(pk__in=_of_parties(self.model, user))


class SuspensionQuerySet(models.QuerySet):
    def standing(self):
        return self.filter(lifted_at__isnull=True)


class ConsumerSuspensionQuerySet(models.QuerySet):
    def open(self):
        return self.filter(lifted_at__isnull=True)

    def holding(self, agreement, organization_id: int, provider_id: int):
        """The open suspension that holds grants of `organization_id` on operations of `provider_id` under `agreement`."""
        rows = self.open().filter(agreement=agreement, party__organization_id=organization_id)
        return rows.filter(Q(provider__isnull=True) | Q(provider_id=provider_id))

    def visible_to(self, user):
        """The parties of the agreement and the platform's readers; who left those of its own access."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(Q(party__organization_id__in=organization_ids(user)) | Q(pk__in=_of_parties(self.model, user)))
