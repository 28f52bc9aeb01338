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

    def make(code):
        return Organization(name=f"Agency {code}", code=code, folded="", sort_key="")

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
    """Further agreements, one grant each, between the same systems and operations: copies of the first one's rows."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE numbers AS SELECT n FROM generate_series(1, %s) n", [more])
        cursor.execute(
            _copy(Agreement, "t.id = (SELECT min(id) FROM agreements_agreement)", number="'C' || n", uuid="gen_random_uuid()")
        )
        cursor.execute(
            _copy(AgreementVersion, "t.id = (SELECT min(id) FROM agreements_agreementversion)", uuid="gen_random_uuid()",
                  agreement_id="(SELECT id FROM agreements_agreement WHERE number = 'C' || n)")
        )  # fmt: skip
        cursor.execute("ANALYZE agreements_agreement, agreements_agreementversion")
        cursor.execute(
            "CREATE TEMPORARY TABLE ids AS SELECT (SELECT array_agg(id ORDER BY id) FROM organizations_informationsystem) AS s, "
            "(SELECT array_agg(id ORDER BY id) FROM registry_operation) AS o"
        )
        cursor.execute(
            _copy(Grant, "t.id = (SELECT min(id) FROM agreements_grant)", uuid="gen_random_uuid()",
                  agreement_id="a.id", version_of_id="v.id", system_id="ids.s[1 + n %% cardinality(ids.s)]",
                  operation_id="ids.o[1 + (n / 7) %% cardinality(ids.o)]", quota_per_day="1000 + n %% 50",
                  more="JOIN agreements_agreement a ON a.number = 'C' || n JOIN agreements_agreementversion v ON v.agreement_id = a.id, ids"),
            [],
        )  # fmt: skip


def _copy(model, condition: str, *, more: str = "", **changed: str) -> str:
    """INSERT a copy of one row for each of `numbers`, with these columns changed; the other columns are the model's own."""
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key and not field.generated]
    values = [changed.get(column, f"t.{column}") for column in columns]
    table = model._meta.db_table
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} t CROSS JOIN numbers {more} WHERE {condition}"


if __name__ == "__main__":
    print(json.dumps(build(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
