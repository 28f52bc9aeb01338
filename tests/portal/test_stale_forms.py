"""CC-03: a form that was opened before somebody else saved overwrites nothing, in the admin and in the portal.

Every form that begins with what is stored, or decides on what was read, has a case here, and a test that finds the forms
says so. What is posted is what the page holds: a guard that the page does not carry guards nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.accounts import actions as accounts
from apps.accounts.models import User
from apps.agreements.actions import change_clause
from apps.agreements.models import Credential, StandardClause
from apps.audit.models import AuditEvent
from apps.core.registers import Register, VerbForm
from apps.legal import actions as legal
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround
from apps.organizations import actions as organizations
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from apps.portal.views import offers, service_versions, terms
from apps.registry import actions as registry
from apps.registry.models import DataService, Field, Operation, Purpose, ServiceVersion, Upstream, UsageRegulation
from apps.sync.actions import change_source
from apps.sync.models import Source
from tests.factories import agreements, connections
from tests.factories.organizations import InformationSystemFactory, MembershipFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import (
    ENTERPRISE,
    DataServiceFactory,
    DraftVersionFactory,
    PublishedVersionFactory,
    PurposeFactory,
    UpstreamFactory,
    UsageRegulationFactory,
)
from tests.factories.sync import CatalogSourceFactory
from tests.forms import posted

pytestmark = pytest.mark.django_db
NOW, MINE = "Người khác vừa lưu", "Tôi vừa gõ"
DAY = datetime.date(2027, 5, 3)


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]


@dataclass(frozen=True)
class Case:
    """`make()`: the row. `other(row, by)`: what somebody saves meanwhile. `typed`: what is entered on the old page."""

    role: Role
    make: Callable
    other: Callable
    typed: dict
    now: str = NOW
    entered: str = MINE
    tables: tuple = ()


def _person(row, role: Role) -> User:
    service = getattr(row, "service", row)
    agency = getattr(service, "provider", None) or getattr(row, "organization", None)
    return officer(role, agency if role not in (Role.OPERATOR, Role.LEGAL_OFFICER) else None)


def _following(**facts):
    return {"citation": MINE, "effective_from": "01/02/2028", **facts}


def _draft():
    version = DraftVersionFactory()
    UpstreamFactory(version=version, environment="test")
    return version


def _rename(version, by):
    registry.complete_operation(version, ENTERPRISE, by=by, facts={"name": NOW})


def _deprecated():
    version = PublishedVersionFactory(service=DataServiceFactory())
    return registry.deprecate_version(
        version, by=_person(version, Role.PROVIDER_OFFICER), until=timezone.localdate() + datetime.timedelta(days=30)
    )


LATER = datetime.date(2028, 1, 1)
VERSION_TABLES = (ServiceVersion, Operation, Field)
OPERATION = Case(Role.PROVIDER_OFFICER, _draft, _rename, {"name": MINE}, tables=VERSION_TABLES)
ADDRESS = Case(
    Role.PROVIDER_OFFICER, _draft,
    lambda row, by: registry.set_upstream(row, "test", by=by, base_url="http://127.0.0.1:8002/nguoi-khac"),
    {"environment": "test", "auth_kind": "none", "base_url": "http://127.0.0.1:8002/toi"},
    "http://127.0.0.1:8002/nguoi-khac", "http://127.0.0.1:8002/toi", (Upstream,),
)  # fmt: skip
NOTHING_TYPED = Case(Role.PROVIDER_OFFICER, _draft, _rename, {}, "", "", VERSION_TABLES)
SERVICE = Case(
    Role.PROVIDER_OFFICER, DataServiceFactory, lambda row, by: registry.change_service(row, by=by, contact=NOW), {"contact": MINE},
    tables=(DataService,),
)  # fmt: skip
TERMS = Case(
    Role.PROVIDER_OFFICER, UsageRegulationFactory, lambda row, by: registry.change_terms(row, by=by, title=NOW), {"title": MINE},
    tables=(UsageRegulation,),
)  # fmt: skip
END_OF_TERMS = Case(
    Role.PROVIDER_OFFICER, UsageRegulationFactory, lambda row, by: registry.end_terms(row, by=by, effective_to=LATER),
    {"effective_to": "02/02/2029"}, "01/01/2028", "02/02/2029", (UsageRegulation,),
)  # fmt: skip
GROUND = {"name": NOW, "citation": NOW, "effective_from": LATER}
END_OF_VERSION = Case(
    Role.PROVIDER_OFFICER, lambda: PublishedVersionFactory(service=DataServiceFactory()),
    lambda row, by: ServiceVersion.objects.filter(pk=row.pk).update(version=row.version + 1), {}, "", "", (ServiceVersion,),
)  # fmt: skip
POSTPONED = dataclasses.replace(END_OF_VERSION, make=_deprecated)

CASES = {
    "organizations.organization change": Case(
        Role.OPERATOR, ReadyOrganizationFactory, lambda row, by: organizations.change_organization(row, by=by, address=NOW),
        {"address": MINE}, tables=(Organization,),
    ),
    "organizations.organization name-focal-point": Case(
        Role.OPERATOR, ReadyOrganizationFactory,
        lambda row, by: organizations.name_focal_point(row, by=by, name=NOW, position="x", phone="1", email="a@example.vn"),
        {"name": MINE, "position": "x", "phone": "1", "email": "b@example.vn"}, tables=(FocalPoint,),
    ),
    "organizations.membership authority": Case(
        Role.AGENCY_ADMIN, lambda: MembershipFactory(role=Role.SIGNER),
        lambda row, by: organizations.change_authority(row, by=by, authority=NOW), {"authority": MINE}, tables=(Membership,),
    ),
    "organizations.informationsystem change": Case(
        Role.CONSUMER_OFFICER, InformationSystemFactory, lambda row, by: organizations.change_system(row, by=by, name=NOW),
        {"name": MINE}, tables=(InformationSystem,),
    ),
    "accounts.user change": Case(
        Role.OPERATOR, lambda: officer(Role.SIGNER, email="ai@example.vn"), lambda row, by: accounts.change_account(row, by=by, position=NOW),
        {"position": MINE}, tables=(User,),
    ),
    "portal offer change": SERVICE,
    "registry.usageregulation change": TERMS,
    "portal terms change": TERMS,
    "registry.usageregulation end": END_OF_TERMS,
    "portal terms end": END_OF_TERMS,
    "registry.purpose change": Case(
        Role.LEGAL_OFFICER, PurposeFactory, lambda row, by: registry.change_purpose(row, by=by, name=NOW), {"name": MINE},
        tables=(Purpose,),
    ),
    "registry.serviceversion fields": OPERATION,
    "portal version operation": OPERATION,
    "portal version write": OPERATION,
    "portal version examples": Case(
        Role.PROVIDER_OFFICER, _draft,
        lambda row, by: registry.complete_examples(row, by=by, samples=[], errors=[{"code": "404", "meaning": NOW}], documents=[]),
        {"errors_told": f"404 | {MINE}"}, tables=VERSION_TABLES,
    ),
    "portal version remove-operation": NOTHING_TYPED,
    "portal version publish": NOTHING_TYPED,
    "registry.serviceversion discard": NOTHING_TYPED,
    "portal version discard": NOTHING_TYPED,
    "registry.serviceversion document": NOTHING_TYPED,
    "portal version document": NOTHING_TYPED,
    "portal version deprecate": END_OF_VERSION,
    "portal version postpone": POSTPONED,
    "portal version retire": END_OF_VERSION,
    "registry.serviceversion address": ADDRESS,
    "portal version address": ADDRESS,
    "legal.legalrule change": Case(
        Role.LEGAL_OFFICER, lambda: LegalRule.objects.get(code="connection.decide", effective_to=None),
        lambda row, by: legal.change_rule(row.code, by=by, value=Decimal(5), citation=NOW, effective_from=LATER, evidence=row.evidence),
        _following(value="7"), tables=(LegalRule,),
    ),
    "legal.refusalground change": Case(
        Role.LEGAL_OFFICER, lambda: RefusalGround.objects.get(code="R3"), lambda row, by: legal.change_ground(row.code, by=by, **GROUND),
        _following(name=MINE), tables=(RefusalGround,),
    ),
    "legal.refusalground end": Case(
        Role.LEGAL_OFFICER, lambda: RefusalGround.objects.get(code="R3"), lambda row, by: legal.end_ground(row.code, by=by, effective_to=LATER),
        {"effective_to": "02/02/2029"}, "01/01/2028", "02/02/2029", (RefusalGround,),
    ),
    "legal.legalbasis change": Case(
        Role.LEGAL_OFFICER, lambda: LegalBasis.objects.get(code="account", effective_to=None),
        lambda row, by: legal.change_basis(row.code, by=by, citation=NOW, effective_from=LATER), _following(), tables=(LegalBasis,),
    ),
    "legal.calendarexception set": Case(
        Role.LEGAL_OFFICER, lambda: CalendarException,
        lambda row, by: legal.set_calendar_day(DAY, by=by, is_working=True, reason=NOW, citation="x"),
        {"day": "03/05/2027", "reason": MINE, "citation": "x"}, tables=(CalendarException,),
    ),
    "legal.calendarexception change": Case(
        Role.LEGAL_OFFICER, lambda: CalendarException.objects.create(day=DAY, is_working=True, reason="a", citation="x"),
        lambda row, by: legal.set_calendar_day(DAY, by=by, is_working=True, reason=NOW, citation="x"),
        {"reason": MINE}, tables=(CalendarException,),
    ),
    "agreements.standardclause change": Case(
        Role.LEGAL_OFFICER, lambda: StandardClause.objects.filter(effective_to=None).first(),
        lambda row, by: change_clause(row.code, by=by, text=NOW, effective_from=LATER), _following(text=MINE), tables=(StandardClause,),
    ),
    "sync.source": Case(
        Role.OPERATOR, CatalogSourceFactory, lambda row, by: change_source(row, by=by, name=NOW), {"name": MINE}, tables=(Source,),
    ),
}  # fmt: skip


def address(name: str, row) -> str:
    where, verb = name.rpartition(" ")[::2]
    if name == "sync.source":
        return reverse("admin:sync_source_change", args=[row.code])
    if name == "legal.calendarexception set":
        return reverse("admin:legal_calendarexception_list_verb", args=["set"])
    if where.startswith("portal"):
        key = row.code if where == "portal offer" else row.uuid
        chosen = f"?operation={ENTERPRISE}" if verb == "write" else ""
        return reverse(f"portal:{where.split()[1]}-step", args=[key, verb]) + chosen
    register = admin.site.get_model_admin(type(row))
    return reverse(f"admin:{where.replace('.', '_')}_verb", args=[getattr(row, register.public_id), verb])


def rows(tables) -> list:
    return [list(table.objects.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize("name", CASES)
def test_cc_03_a_stale_form_is_told_what_stands_now_and_overwrites_nothing(name, as_person):
    case = CASES[name]
    row = case.make()
    browser = as_person(_person(row, case.role))
    where = address(name, row)
    page = browser.get(where)
    assert page.status_code == 200
    case.other(row, _person(row, case.role))
    before = rows(case.tables)
    typed = {**posted(page.content.decode()), **case.typed, **_more(name)}
    answer = browser.post(where, typed)
    shown = answer.content.decode()
    assert answer.status_code == 409, shown[-3000:]
    assert rows(case.tables) == before
    assert case.now in shown
    assert case.entered in shown


def _more(name: str) -> dict:
    """What the browser posts of a date, and what a form without anything to type needs."""
    if name.endswith("document"):
        return {"file": SimpleUploadedFile("mo-ta.json", b"{}")}
    if name.endswith(("deprecate", "postpone")):
        return {"until": (timezone.localdate() + datetime.timedelta(days=90)).strftime("%d/%m/%Y")}
    return {"reason": "x"} if name.endswith("retire") else {}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.typed and name != "legal.calendarexception set"])
def test_a_form_that_is_not_stale_is_saved(name, as_person):
    case = CASES[name]
    row = case.make()
    browser = as_person(_person(row, case.role))
    where = address(name, row)
    before = rows(case.tables)
    answer = browser.post(where, {**posted(browser.get(where).content.decode()), **case.typed})
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    assert rows(case.tables) != before


def guarded(page) -> bool:
    return page.form.standing is not VerbForm.standing


def test_every_form_that_begins_with_what_is_stored_has_a_case():
    found = {
        f"{model._meta.label_lower} {page.name}"
        for model, register in admin.site._registry.items()
        if isinstance(register, Register)
        for page in register.verb_pages
        if guarded(page)
    }
    portal = {"offer": offers.PAGES, "version": service_versions.PAGES, "terms": terms.PAGES}
    found |= {f"portal {where} {page.name}" for where, pages in portal.items() for page in pages.values() if guarded(page)}
    editable = {model._meta.label_lower for model, one in admin.site._registry.items() if not isinstance(one, Register)
                and type(one).has_change_permission.__qualname__ != "ReadOnlyAdmin.has_change_permission"}  # fmt: skip
    assert found | editable == set(CASES)


# --- the small forms of steps ---------------------------------------------------------------------


@dataclass(frozen=True)
class SmallStep:
    """A step's own little form. `make(w)`: the row it is taken on; `page` and `door`: addresses; `typed`: what the form asks for."""

    make: Callable
    person: str
    page: str
    typed: dict = field(default_factory=dict)
    kind: Callable = connections.world


REQUESTS, AGREEMENTS = "/portal/requests/{}/", "/portal/agreements/{}/"
REASON = {"reason": "Lý do"}
SMALL = {
    "requests/{}/do/submit": SmallStep(connections.signed_draft, "consumer_officer", REQUESTS),
    "requests/{}/do/withdraw": SmallStep(connections.complete_draft, "consumer_officer", REQUESTS),
    "requests/{}/do/forward": SmallStep(connections.submitted, "operator", REQUESTS),
    "requests/{}/do/return": SmallStep(connections.submitted, "operator", REQUESTS, {"return-on_purpose_text": "Nêu rõ."}),
    "requests/{}/do/approve": SmallStep(connections.forwarded, "provider_officer", REQUESTS, {"approve-comment": ""}),
    "requests/{}/do/refuse": SmallStep(
        connections.forwarded, "provider_officer", REQUESTS,
        {"refuse-ground": "R3", "refuse-reason": "x", "refuse-citation": "x"},
    ),
    "agreements/{}/do/terminate": SmallStep(
        agreements.agreement_in_force, "operator", AGREEMENTS, {"ground": "authority", **REASON}
    ),
    "agreements/{}/do/suspend": SmallStep(
        agreements.agreement_in_force, "provider_officer", AGREEMENTS, {"kind": "force_majeure", "violation": "x", "plan": "x"}
    ),
    "agreements/{}/do/decline": SmallStep(
        agreements.negotiating, "consumer_officer", AGREEMENTS, REASON, agreements.special_world
    ),
    "agreements/{}/do/agree": SmallStep(agreements.negotiating, "consumer_officer", AGREEMENTS, {}, agreements.special_world),
    "grants/{}/do/suspend": SmallStep(
        lambda w: agreements.agreement_in_force(w).grants.get(), "provider_officer", AGREEMENTS, REASON
    ),
    "test-records/{}/do/confirm": SmallStep(
        lambda w: agreements.recorded(w, agreements.agreement_in_force(w)), "provider_officer", AGREEMENTS, {"comment": ""}
    ),
    "accounts/{}/do/claim": SmallStep(
        lambda w: Credential.objects.get(system=agreements.agreement_in_force(w) and w.system), "consumer_officer",
        "/portal/accounts/{}/",
    ),
}  # fmt: skip


def _form_of(page: str, door: str) -> dict:
    """What a browser posts of the form that leads to `door`."""
    forms = [f"<form{part}" for part in page.split("<form")[1:] if f'action="{door}"' in part.split(">")[0]]
    assert forms, f"no form leads to {door}"
    return posted(forms[0])


def _facts(row) -> list:
    return [list(type(row).objects.filter(pk=row.pk).values()), AuditEvent.objects.about(row).filter(outcome="done").count()]


@pytest.mark.parametrize("said", ["nothing", "old", "nonsense", "what the page says"])
@pytest.mark.parametrize("name", SMALL)
def test_cc_03_a_step_is_taken_on_the_version_that_was_read_or_not_at_all(name, said, as_person):
    case = SMALL[name]
    w = case.kind()
    row = case.make(w)
    browser = as_person(getattr(w, case.person))
    shown = getattr(row, "agreement", row) if "agreements" in case.page else row
    door = f"/portal/{name.format(row.uuid)}/"
    form = {**_form_of(browser.get(case.page.format(shown.uuid)).content.decode(), door), **case.typed}
    row.refresh_from_db()
    assert form["version"] == str(row.version)
    before = _facts(row)
    given = {"nothing": None, "old": str(row.version - 1), "nonsense": "x", "what the page says": form["version"]}[said]
    form = {key: value for key, value in {**form, "version": given}.items() if value is not None}
    answer = browser.post(door, form)
    if said == "what the page says":
        assert answer.status_code in (200, 302)
        assert _facts(row) != before
    else:
        assert answer.status_code == 409, answer.content.decode()[-2000:]
        assert _facts(row) == before


def test_no_view_reads_the_version_of_a_form_in_another_way():
    """`doors.version_of` refuses a form without one; a view that reads it itself could let one pass."""
    views = list((Path(__file__).parents[2] / "apps" / "portal" / "views").glob("*.py"))
    assert views
    read_by_itself = re.compile(r"""POST\b[^\n]*["']version["']""")
    assert [path.name for path in views if read_by_itself.search(path.read_text(encoding="utf-8"))] == []
