"""Fills the real tables: a few agencies by the ORM, then rows copied inside the database from a template row.

Indexes that only speed up reading are dropped before and built again after: a million rows enter them one by one otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from apps.accounts.models import User
from apps.agreements.models import Agreement, Party
from apps.connections.models import ConnectionRequest, ProviderDecision, RequestAudience, RequestedOperation, RequestSystem
from apps.core.text import fold
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Membership, Organization
from apps.registry.models import DataService, Operation, Purpose, ServiceVersion

CONSUMERS, PROVIDERS = 60, 20
FEW = 25
"""Cases of the agency with few of them, however many rows there are."""


@dataclass(frozen=True)
class World:
    people: dict[str, User]
    consumers: list[int]
    systems: list[int]
    providers: list[int]
    operations: list[int]
    few: tuple[int, int]
    """Agency and system of the one with few cases."""


def build() -> World:
    named = [f"Sở Đo tải {n}" for n in range(CONSUMERS + PROVIDERS + 1)]
    agencies = [
        Organization(name=name, code=f"H03.L{n}", folded=fold(name), sort_key=f"{n:04}") for n, name in enumerate(named)
    ]
    agencies = Organization.objects.bulk_create(agencies)
    consumers, providers, few = agencies[:CONSUMERS], agencies[CONSUMERS:-1], agencies[-1]
    systems = InformationSystem.objects.bulk_create(
        InformationSystem(organization=agency, code=f"do-tai-{agency.pk}", name=f"Hệ thống {agency.pk}", folded=f"he thong {agency.pk}")
        for agency in [*consumers, few]
    )  # fmt: skip
    operations = [_operation(number, provider) for number, provider in enumerate(providers)]
    people = {
        "consumer": _person("consumer", Role.CONSUMER_OFFICER, consumers[0]),
        "provider": _person("provider", Role.PROVIDER_OFFICER, providers[0]),
        "few": _person("few", Role.CONSUMER_OFFICER, few),
        "operator": _person("operator", Role.OPERATOR, providers[1]),
    }
    pks = [[row.pk for row in rows] for rows in (consumers, systems[:-1], providers, operations)]
    return World(people, *pks, few=(few.pk, systems[-1].pk))


def found() -> World:
    """What `build` made, in a copy of its database."""
    agencies = list(Organization.objects.filter(code__startswith="H03.L").order_by("pk").values_list("pk", flat=True))
    systems = list(InformationSystem.objects.filter(code__startswith="do-tai-").order_by("pk").values_list("pk", flat=True))
    operations = list(
        Operation.objects.filter(version__service__code__startswith="do-tai-").order_by("pk").values_list("pk", flat=True)
    )
    people = {user.username.removeprefix("bench-"): user for user in User.objects.filter(username__startswith="bench-")}
    return World(
        people, agencies[:CONSUMERS], systems[:-1], agencies[CONSUMERS:-1], operations, few=(agencies[-1], systems[-1])
    )


def _person(name: str, role: str, agency: Organization) -> User:
    user = User.objects.create(username=f"bench-{name}", full_name=f"Người {name}")
    Membership.objects.create(user=user, organization=agency, role=role)
    return user


def _operation(number: int, provider: Organization) -> Operation:
    name = f"Dịch vụ đo tải {number}"
    service = DataService.objects.create(provider=provider, code=f"do-tai-{number}", name=name)
    version = ServiceVersion.objects.create(service=service, major=1, minor=0)
    return Operation.objects.create(version=version, code="tra-cuu", name="Tra cứu", path_template="/x", method="GET")


FILLED = (ConnectionRequest, RequestSystem, RequestedOperation, ProviderDecision, RequestAudience, Agreement, Party)
_READERS = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = %s::regclass AND NOT i.indisunique
"""


@contextlib.contextmanager
def without_indexes() -> Iterator[None]:
    with connection.cursor() as cursor:
        found = []
        for model in FILLED:
            cursor.execute(_READERS, [model._meta.db_table])
            found += cursor.fetchall()
        for name, _definition in found:
            cursor.execute(f"DROP INDEX {name}")
        yield
        cursor.execute("SET maintenance_work_mem = '512MB'; SET statement_timeout = 0")
        for _name, definition in found:
            cursor.execute(definition)
        cursor.execute("RESET maintenance_work_mem; RESET statement_timeout")


def fill(world: World, first: int, last: int) -> None:
    """Rows number `first` to `last` of requests (with system, operation, decision) and agreements (with two parties)."""
    with connection.cursor() as cursor:
        # The rows are right by construction; a million foreign keys would be looked up seven times otherwise.
        cursor.execute("SET LOCAL session_replication_role = replica")
    now, by = timezone.now(), world.people["consumer"]
    purpose, _made = Purpose.objects.get_or_create(code="bench", defaults={"name": "Bench"})
    base = ConnectionRequest(number="", title="", consumer_id=world.consumers[0], created_by=by, status="checking", purpose=purpose,
                             received_at=now)  # fmt: skip
    agency, system = (_pick(rows, "n", few) for rows, few in zip((world.consumers, world.systems), world.few, strict=True))
    operation, provider = (_pick(rows, "n / 7") for rows in (world.operations, world.providers))
    statuses = "(ARRAY['approved','approved','approved','checking','awaiting_provider','refused','returned','withdrawn'])[1 + (n / 11) %% 8]"
    refusal = "CASE WHEN (n / 11) %% 8 = 5 THEN 'Không thuộc chức năng' ELSE '' END"
    request = {
        "number": "'YC-2020-' || lpad(n::text, 7, '0')", "title": _title("Tra cứu phục vụ"), "consumer_id": agency,
        "status": statuses, "due_at": "now() + (n %% 400 - 200) * interval '1 hour'", "uuid": "gen_random_uuid()",
        "search_line": _line("tra cuu phuc vu", "yc"), "refusal_reason": refusal, "refusal_citation": refusal,
        "refusal_ground_id": "CASE WHEN (n / 11) %% 8 = 5 THEN (SELECT min(id) FROM legal_refusalground) END",
    }  # fmt: skip
    _copy(base, first, last, id="1000 + n", **request)
    _copy(RequestSystem(request_id=0, system_id=0), first, last, request_id="1000 + n", system_id=system)
    _copy(RequestedOperation(request_id=0, operation_id=0), first, last, request_id="1000 + n", operation_id=operation)
    decision = ProviderDecision(request_id=0, provider_id=0, requested_by=by, status="pending")
    _copy(decision, first, last, request_id="1000 + n", provider_id=provider, uuid="gen_random_uuid()")
    for read_by in (agency, provider):  # as the triggers would, which do not run here
        _copy(RequestAudience(request_id=0, organization_id=0), first, last, request_id="1000 + n", organization_id=read_by)
    agreement = Agreement(number="", title="", sharing_form="default", status="in_force", in_force_at=now, valid_from=now)
    _copy(agreement, first, last, id="1000 + n", number="'TT-2020-' || lpad(n::text, 7, '0')", title=_title("Chia sẻ dữ liệu"),
          search_line=_line("chia se du lieu", "tt"), uuid="gen_random_uuid()", status="(ARRAY['in_force','in_force','in_force','expired'])[1 + (n / 11) %% 4]",
          valid_to="now() + (1 + n %% 900) * interval '1 day'")  # fmt: skip
    _copy(Party(agreement_id=0, organization_id=0, side="provider"), first, last, agreement_id="1000 + n", organization_id=provider,
          joined_at="now()")  # fmt: skip
    _copy(Party(agreement_id=0, organization_id=0, side="consumer"), first, last, agreement_id="1000 + n", organization_id=agency,
          joined_at="now()")  # fmt: skip


def _pick(rows: list[int], turn: str, few: int | None = None) -> str:
    """The row whose turn it is; the agency with few cases has the first ones."""
    chosen = f"(ARRAY[{','.join(map(str, rows))}])[1 + ({turn}) %% {len(rows)}]"
    return f"CASE WHEN n <= {FEW} THEN {few} ELSE {chosen} END" if few else chosen


def _title(words: str) -> str:
    return f"'{words} ' || (ARRAY['đất đai','hộ tịch','doanh nghiệp','bảo hiểm','giáo dục'])[1 + n %% 5] || ' số ' || n"


def _line(words: str, series: str) -> str:
    """What the triggers would keep, which do not run here: number, title, agencies."""
    subject = "(ARRAY['dat dai','ho tich','doanh nghiep','bao hiem','giao duc'])[1 + n %% 5]"
    agency = f"CASE WHEN n <= {FEW} THEN 'so do tai {CONSUMERS + PROVIDERS}' ELSE 'so do tai ' || n %% {CONSUMERS} END"
    provider = f"'so do tai ' || {CONSUMERS} + (n / 7) %% {PROVIDERS} || ' dich vu do tai ' || (n / 7) %% {PROVIDERS}"
    return f"to_tsvector('simple', '{series} 2020 ' || lpad(n::text, 7, '0') || ' {words} ' || {subject} || ' so ' || n || ' ' || {agency} || ' ' || {provider})"


def _copy(row, first: int, last: int, **different: str) -> None:
    """INSERT … SELECT: every column as `row` has it, except the `different` ones, which are SQL over n."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key or "id" in different]
    columns, values, parameters = [], [], []
    for field in fields:
        columns.append(f'"{field.column}"')
        if field.column in different:
            values.append(different[field.column])
        else:
            values.append("%s" + f"::{field.db_type(connection).split(' GENERATED')[0].replace('bigserial', 'bigint')}")
            parameters.append(field.get_db_prep_save(field.pre_save(row, True), connection))
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM generate_series(%s, %s) n",  # noqa: S608
            [*parameters, first, last],
        )
