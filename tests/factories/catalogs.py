"""Catalogs and their releases, made by the verbs."""

from __future__ import annotations

import datetime as dt

import factory

from apps.catalogs import actions
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Catalog, Release, Webhook
from tests.factories.accounts import MachineFactory, UserFactory
from tests.factories.base import Factory
from tests.factories.organizations import InformationSystemFactory

FLAT = [{"code": "item", "name": "Mục", "pattern": r"[A-Z0-9]{1,6}", "parents": []}]
TREE = [
    {"code": "province", "name": "Cấp tỉnh", "pattern": r"\d{2}", "parents": []},
    {"code": "commune", "name": "Cấp xã", "pattern": r"\d{5}", "parents": ["province"]},
]
SELF_TREE = [{"code": "unit", "name": "Đơn vị", "pattern": r"U\d{1,4}", "parents": ["unit"]}]
DAY = dt.date(2025, 1, 1)


class CatalogFactory(Factory):
    """A flat, open catalog whose harmless releases wait for a person."""

    class Meta:
        model = Catalog

    code = factory.Sequence(lambda n: f"danh-muc-{n}")
    name = factory.Sequence(lambda n: f"Danh mục thử {n}")
    levels = FLAT
    instrument = "QĐ 01/2025/QĐ-UBND"


class SelfPublishingCatalogFactory(CatalogFactory):
    publishes_itself = True


class ClosedCatalogFactory(CatalogFactory):
    """An account is needed to read it."""

    is_public = False


class TreeCatalogFactory(CatalogFactory):
    levels = TREE


class SelfTreeCatalogFactory(CatalogFactory):
    levels = SELF_TREE


class WebhookFactory(Factory):
    """A system that is told of a catalog's releases."""

    class Meta:
        model = Webhook

    catalog = factory.SubFactory(CatalogFactory)
    system = factory.SubFactory(InformationSystemFactory)
    url = factory.Sequence(lambda n: f"http://127.0.0.1:8099/nhan/{n}")
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the published example
    added_by = factory.SubFactory(UserFactory)


def rows(count: int, name: str = "Tên gọi số") -> list[dict]:
    return [{"code": f"A{n:03}", "name": f"{name} {n}", "attributes": {"n": n}} for n in range(1, count + 1)]


def staged(catalog: Catalog, given: list[dict], *, by=None, source: str = "test", effective_on=DAY, **facts) -> Release:
    return actions.stage_release(catalog, given, by=by or MachineFactory(), source=source, effective_on=effective_on, **facts)


def judged(catalog: Catalog, given: list[dict], *, by=None, **facts) -> Release:
    by = by or MachineFactory()
    release = staged(catalog, given, by=by, **facts)
    return actions.judge_release(release, by=by) if release.status == ReleaseStatus.STAGED else release


def published(catalog: Catalog, given: list[dict], *, by, note: str = "", **facts) -> Release:
    """Staged, judged, every reason accepted, published by the person `by`."""
    release = judged(catalog, given, by=by, **facts)
    if release.status == ReleaseStatus.UNCHANGED:
        return release
    return actions.publish_release(release, by=by, accept=release.hold_reasons, note=note)
