"""Sources of the sandbox, and runs in the states a test may need."""

from __future__ import annotations

import datetime
import json

import factory
from django.utils import timezone

from apps.catalogs.models import Catalog
from apps.sync.choices import RunStatus, SourceKind
from apps.sync.demonstration import ADMINISTRATIVE_UNITS, PUSH
from apps.sync.models import Source, SyncRun
from tests.factories.base import Factory

ETHNIC_GROUPS = {
    "parts": [{"category": "madantoc", "level": "group", "columns": {"code": "MaDanToc", "name": "TenDanToc"},
               "attributes": {"other_names": "TenGoiKhac"}}]
}  # fmt: skip


def at_sandbox(sandbox, **facts) -> dict:
    """How the running sandbox is reached."""
    secret = json.dumps({"consumer_key": sandbox.key, "consumer_secret": sandbox.secret})
    return {"base_url": sandbox.url, "auth_kind": "ngsp", "token_url": f"{sandbox.url}/token", "secret": secret, **facts}


class CatalogFactory(Factory):
    """An empty catalog of one level."""

    class Meta:
        model = Catalog

    code = factory.Sequence(lambda n: f"danh-muc-{n}")
    name = factory.Sequence(lambda n: f"Danh mục thử nghiệm {n}")
    levels = factory.LazyFunction(lambda: [{"code": "group", "name": "Nhóm", "pattern": r"\d{2}", "parents": []}])


class SelfPublishingCatalogFactory(CatalogFactory):
    publishes_itself = True


class CatalogSourceFactory(Factory):
    """The ethnic groups of NGSP, due in an hour; give `**at_sandbox(sandbox)`."""

    class Meta:
        model = Source

    code = factory.Sequence(lambda n: f"nguon-{n}")
    name = factory.Sequence(lambda n: f"Nguồn {n}")
    kind = SourceKind.CATALOG
    catalog = factory.SubFactory(SelfPublishingCatalogFactory)
    base_url = "http://127.0.0.1:8002"
    settings = factory.LazyFunction(lambda: json.loads(json.dumps(ETHNIC_GROUPS)))
    interval_minutes = 60
    next_run_at = factory.LazyFunction(lambda: timezone.now() + datetime.timedelta(hours=1))


class AdministrativeSourceFactory(CatalogSourceFactory):
    """The three lists of administrative units into one catalog (which must be given)."""

    catalog = None
    settings = factory.LazyFunction(lambda: json.loads(json.dumps(ADMINISTRATIVE_UNITS)))


class ChangesSourceFactory(CatalogSourceFactory):
    kind = SourceKind.CHANGES
    catalog = None
    settings = factory.LazyFunction(lambda: {"start": "2026-11-02"})


class PushSourceFactory(CatalogSourceFactory):
    kind = SourceKind.PUSH
    catalog = None
    settings = factory.LazyFunction(lambda: json.loads(json.dumps(PUSH)))


class QueuedRunFactory(Factory):
    class Meta:
        model = SyncRun

    source = factory.SubFactory(CatalogSourceFactory)


class RunningRunFactory(QueuedRunFactory):
    """Held by a worker for another minute."""

    status = RunStatus.RUNNING
    fence = 1
    attempt = 1
    started_at = factory.LazyFunction(timezone.now)
    lease_until = factory.LazyFunction(lambda: timezone.now() + datetime.timedelta(minutes=1))


class AbandonedRunFactory(RunningRunFactory):
    """Its worker died: the lease ended a minute ago."""

    lease_until = factory.LazyFunction(lambda: timezone.now() - datetime.timedelta(minutes=1))


class ClosedRunFactory(QueuedRunFactory):
    status = RunStatus.PUBLISHED
    started_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyFunction(timezone.now)
