"""Questions about catalogs: valid time (`as_of`, `valid_on`) and record time (`known_at`, `known_in`)."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Case, F, Func, Q, Value, When

from apps.catalogs.choices import LIVE_STATUSES, OPEN_STATUSES, WebhookStatus
from apps.core.text import words
from apps.organizations.roles import is_platform_reader, organization_ids


class CatalogQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Open catalogs for everybody; the others for anybody with an account (NĐ 47/2020 Điều 34 khoản 1 điểm c)."""
        if getattr(user, "is_authenticated", False) and user.is_active:
            return self.all()
        return self.filter(is_public=True)

    def search(self, text: str):
        """Each word of `text` is in the catalog's name or code. A text without a word finds nothing."""
        wanted, rows = words(text), self
        for word in wanted:
            rows = rows.filter(folded__contains=word)
        return rows if wanted or not text.strip() else rows.none()


def sees_waiting(user) -> bool:
    """True for the platform's own people: they see what waits or was refused, and whose list it is."""
    return bool(getattr(user, "is_authenticated", False) and user.is_active and user.has_perm("catalogs.view_release"))


class ReleaseQuerySet(models.QuerySet):
    def open(self):
        return self.filter(status__in=OPEN_STATUSES)

    def live(self):
        """Releases that took their place in record time."""
        return self.filter(status__in=LIVE_STATUSES)

    def visible_to(self, user):
        """Published releases are public as their catalog is; what waits or was refused is for the platform's own people."""
        if not (getattr(user, "is_authenticated", False) and user.is_active):
            return self.live().filter(catalog__is_public=True)
        return self.all() if sees_waiting(user) else self.live()

    def from_source(self, source: str, *, user):
        """Releases of `source` as `user` is told it: who may not know whose list it is cannot find out by asking."""
        if sees_waiting(user):
            return self.filter(source=source)
        kind = Func(F("source"), Value(":"), Value(1), function="split_part", output_field=models.CharField())
        return self.alias(source_kind=kind).filter(source_kind=source)

    def number_at(self, moment: dt.datetime) -> int:
        """The number of the release (of one catalog) that was current at `moment`; 0 before the first."""
        found = self.live().filter(published_at__lte=moment).aggregate(models.Max("number"))
        return found["number__max"] or 0


class EntryQuerySet(models.QuerySet):
    """Every question takes the record time as a release number; None is now."""

    def current(self):
        """What we believe now."""
        return self.filter(superseded_in__isnull=True)

    def known_in(self, number: int | None):
        """What we believed under release `number`. `ends_on` is the end as it was known then."""
        if number is None:
            return self.current().annotate(ends_on=F("valid_to"))
        believed = self.filter(Q(superseded_in__isnull=True) | Q(superseded_in__gt=number), recorded_in__lte=number)
        hidden = When(closed_in__gt=number, then=None)
        return believed.annotate(ends_on=Case(hidden, default=F("valid_to"), output_field=models.DateField()))

    def known_at(self, catalog, moment: dt.datetime):
        """What we believed at `moment`."""
        return self.filter(catalog=catalog).known_in(catalog.releases.number_at(moment))

    def valid_on(self, day: dt.date, number: int | None = None):
        """Entries that hold on `day`, as known in release `number` (None: now)."""
        if number is None:
            ends = Q(valid_to__isnull=True) | Q(valid_to__gt=day)
        else:
            ends = Q(valid_to__isnull=True) | Q(valid_to__gt=day) | Q(closed_in__gt=number)
        return self.known_in(number).filter(ends, valid_from__lte=day)

    as_of = valid_on

    def moves_between(self, earlier: dt.date, later: dt.date) -> bool:
        """True when an entry begins or ends after `earlier` and not after `later`, as known now: the two days differ."""
        if earlier == later:
            return False
        begins = Q(valid_from__gt=earlier, valid_from__lte=later)
        return self.current().filter(begins | Q(valid_to__gt=earlier, valid_to__lte=later)).exists()

    def search(self, text: str):
        """Each word of `text` begins a word of the entry, without tones: "dong nai" finds Đồng Nai. A text without a word finds nothing."""
        wanted, rows = words(text), self
        for word in wanted:
            rows = rows.filter(folded__contains=f" {word}")  # `folded` begins with a space
        return rows if wanted or not text.strip() else rows.none()


class SuccessionQuerySet(models.QuerySet):
    def known_in(self, number: int | None):
        if number is None:
            return self.filter(superseded_in__isnull=True)
        return self.filter(Q(superseded_in__isnull=True) | Q(superseded_in__gt=number), recorded_in__lte=number)


class SnapshotQuerySet(models.QuerySet):
    def covering(self, day: dt.date):
        return self.filter(Q(day_to__isnull=True) | Q(day_to__gt=day), day_from__lte=day)


class WebhookQuerySet(models.QuerySet):
    def active(self):
        return self.filter(status=WebhookStatus.ACTIVE)

    def visible_to(self, user):
        """A member sees the webhooks of their own organizations' systems; operator, legal officer and auditor see all."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(system__organization_id__in=organization_ids(user))
