"""A fixed world: 500 systems × 40 services, 5,000 agreements, each with a grant for a small and a large operation.

Run as a module in a process of its own (`DATABASE_URL` set); prints the pairs to call as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.agreements.models import Agreement, AgreementVersion, Credential, Grant  # noqa: E402
from apps.agreements.secrets import hash_secret  # noqa: E402
from apps.core.epoch import raise_epoch  # noqa: E402
from apps.gateway.models import AccessToken  # noqa: E402
from apps.organizations.models import InformationSystem, Organization  # noqa: E402
from apps.registry.models import DataService, Field, Operation, Parameter, Purpose, ServiceVersion, Upstream  # noqa: E402
from benchmarks.gateway.fixtures import GRANTED, NAMES  # noqa: E402

SYSTEMS, SERVICES, AGREEMENTS, PAIRS = 500, 40, 5_000, 2_000


def token_of(number: int) -> str:
    return hashlib.sha256(f"bench {number}".encode()).hexdigest()[:43]


@transaction.atomic
def build(base_url: str, grants: int) -> list[dict]:
    """Make the world; with `grants` above that of the agreements, copy grants in for the memory figure."""
    rng, now = random.Random(2026), timezone.now()
    user = User.objects.create(username="bench", is_machine=True)
    purpose = Purpose.objects.create(code="bench", name="Bench")
    make = lambda code: Organization(name=f"Agency {code}", code=code, folded="", sort_key="")  # noqa: E731
    agencies = Organization.objects.bulk_create([make(f"H03.B{n}") for n in range(SYSTEMS + 1)])
    systems = InformationSystem.objects.bulk_create(
        [InformationSystem(organization=agencies[n], code=f"bench-{n}", name=f"System {n}") for n in range(SYSTEMS)]
    )
    operations = [_service(n, agencies[-1], base_url) for n in range(SERVICES)]
    credentials = Credential.objects.bulk_create(
        [Credential(system=s, environment="production", client_id=f"bench-{n}", secret_hash=hash_secret(token_of(n)), status="active",
                    issued_by=user) for n, s in enumerate(systems)]
    )  # fmt: skip
    AccessToken.objects.bulk_create(
        [AccessToken(token_hash=hashlib.sha256(token_of(n).encode()).digest(), credential=c, issued_at=now, expires_at=now + timedelta(days=1))
         for n, c in enumerate(credentials)]
    )  # fmt: skip
    chosen = rng.sample([(s, o) for s in range(SYSTEMS) for o in range(SERVICES)], AGREEMENTS)
    agreements = Agreement.objects.bulk_create(
        [Agreement(number=f"B{n}", title="Bench", sharing_form="default", status="in_force", valid_from=now - timedelta(days=1),
                   in_force_at=now) for n in range(AGREEMENTS)]
    )  # fmt: skip
    versions = AgreementVersion.objects.bulk_create(
        [
            AgreementVersion(agreement=a, number=1, state="current", content={}, content_hash="0" * 64, drafted_by=user)
            for a in agreements
        ]
    )
    rows = []
    for number, (s, o) in enumerate(chosen):
        for operation, prefix in zip(operations[o], ("", "items[]."), strict=True):
            rows.append(
                Grant(agreement=agreements[number], version_of=versions[number], system=systems[s], operation=operation,
                      environment="production", purpose=purpose, fields=[prefix + name for name in GRANTED],
                      quota_per_day=100_000_000, valid_from=now - timedelta(days=1))
            )  # fmt: skip
    Grant.objects.bulk_create(rows, batch_size=2_000)
    if grants > len(rows):
        _copy_grants(grants - len(rows))
    raise_epoch("bench")
    return [{"token": token_of(s), "service": f"bench-{o}"} for s, o in rng.sample(chosen, PAIRS)]


def _service(number: int, provider: Organization, base_url: str) -> tuple[Operation, Operation]:
    service = DataService.objects.create(code=f"bench-{number}", name=f"Service {number}", provider=provider)
    version = ServiceVersion.objects.create(service=service, major=1, status="draft")
    made = []
    for code, prefix in (("small", ""), ("large", "items[].")):
        operation = Operation.objects.create(version=version, code=code, name=code, path_template=f"/{code}/{{code}}")
        Parameter.objects.create(
            operation=operation, name="code", location="path", required=True, pattern="[0-9]{1,10}", is_subject=True
        )
        Field.objects.bulk_create([Field(operation=operation, path=prefix + name, name=name, type="string") for name in NAMES])
        made.append(operation)
    Upstream.objects.create(version=version, environment="production", base_url=base_url, max_concurrency=10_000)
    ServiceVersion.objects.filter(pk=version.pk).update(status="published", published_at=timezone.now())
    return made[0], made[1]


def _copy_grants(more: int) -> None:
    """Further agreements, one grant each, between the same systems and operations."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH a AS (INSERT INTO agreements_agreement (uuid, created_at, updated_at, version, number, title, sharing_form, status, valid_from,
                         in_force_at, suspension_kind, violation, handling_plan, restore_conditions, termination_ground)
                       SELECT gen_random_uuid(), now(), now(), 1, 'C' || n, 'Bench', 'default', 'in_force', now(), now(), '', '', '', '', ''
                       FROM generate_series(1, %s) n RETURNING id),
                 v AS (INSERT INTO agreements_agreementversion (uuid, created_at, updated_at, agreement_id, number, state, content, content_hash,
                         drafted_by_id, change_note)
                       SELECT gen_random_uuid(), now(), now(), id, 1, 'current', '{}', repeat('0', 64), (SELECT min(id) FROM accounts_user), ''
                       FROM a RETURNING id, agreement_id),
                 s AS (SELECT array_agg(id) AS ids FROM organizations_informationsystem),
                 o AS (SELECT array_agg(id) AS ids FROM registry_operation),
                 g AS (SELECT * FROM agreements_grant ORDER BY id LIMIT 1)
            INSERT INTO agreements_grant (uuid, created_at, updated_at, version, agreement_id, version_of_id, system_id, operation_id, environment,
                         purpose_id, fields, quota_per_day, networks, valid_from, status, status_reason)
            SELECT gen_random_uuid(), now(), now(), 1, v.agreement_id, v.id, s.ids[1 + v.id %% cardinality(s.ids)],
                   o.ids[1 + (v.id / 7) %% cardinality(o.ids)], 'production', g.purpose_id, g.fields, 1000 + v.id %% 50, '{}',
                   now() - interval '1 day', 'active', ''
            FROM v, s, o, g
            """,
            [more],
        )


if __name__ == "__main__":
    print(json.dumps(build(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
