"""The verbs on services, versions, addresses and terms."""

from __future__ import annotations

import copy
import datetime

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.legal.models import LegalRule
from apps.organizations.choices import Role
from apps.registry import actions
from apps.registry.choices import Environment, ServiceStatus, SharingForm, VersionStatus
from apps.registry.completeness import completeness
from apps.registry.contract import contract_of
from apps.registry.contract_reading import read_contract
from apps.registry.models import DataService, Field, Operation, ServiceVersion, Upstream
from apps.registry.terms import terms_hash
from apps.registry.workflow import SERVICE, VERSION
from tests.factories.catalogs import CatalogFactory
from tests.factories.organizations import FocalPointFactory, OrganizationFactory, SuspendedOrganizationFactory, officer
from tests.factories.registry import (
    BUSINESS_REGISTRATION,
    DataServiceFactory,
    DraftVersionFactory,
    PublishedServiceFactory,
    PublishedVersionFactory,
    SignedRegulationFactory,
    UpstreamFactory,
    UsageRegulationFactory,
)

pytestmark = pytest.mark.django_db
REASON = "Theo quyết định 12/QĐ-UBND"
ADDRESS = "http://127.0.0.1:8002/apiCSDLDKDN/1.0"


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]


@pytest.fixture
def provider():
    organization = OrganizationFactory()
    FocalPointFactory(organization=organization)
    return organization


@pytest.fixture
def owner(provider):
    """The provider's officer."""
    return officer(Role.PROVIDER_OFFICER, provider)


@pytest.fixture
def service(provider):
    return DataServiceFactory(provider=provider)


@pytest.fixture
def complete(service):
    """A draft that may be published."""
    version = DraftVersionFactory(service=service)
    for environment in Environment.values:
        UpstreamFactory(version=version, environment=environment)
    return version


def last_event(obj) -> AuditEvent:
    return AuditEvent.objects.about(obj).first()


# --- services -----------------------------------------------------------------------------------


def test_a_provider_registers_its_service(provider, owner):
    service = actions.register_service(provider, by=owner, code="Dang-Ky-DN", name="Đăng ký doanh nghiệp")
    assert (service.code, service.provider, service.status) == ("dang-ky-dn", provider, ServiceStatus.ACTIVE)
    assert last_event(service).organizations == [provider.uuid]


@pytest.mark.parametrize("role", [r for r in Role if r != Role.PROVIDER_OFFICER])
def test_no_other_role_registers_or_changes_a_service(provider, service, role):
    person = officer(role, provider)
    with pytest.raises(NotPermitted):
        actions.register_service(provider, by=person, code="khac", name="Khác")
    with pytest.raises(NotPermitted):
        actions.change_service(service, by=person, name="Khác")


def test_a_stranger_touches_nothing_of_a_service(service, complete):
    stranger = officer(Role.PROVIDER_OFFICER)
    attempts = (
        lambda: actions.change_service(service, by=stranger, name="x"),
        lambda: actions.suspend_service(service, by=stranger, reason=REASON),
        lambda: actions.retire_service(service, by=stranger, reason=REASON),
        lambda: actions.add_version(service, by=stranger),
        lambda: actions.define_contract(complete, BUSINESS_REGISTRATION, by=stranger),
        lambda: actions.set_upstream(complete, "test", by=stranger, base_url=ADDRESS),
        lambda: actions.publish_version(complete, by=stranger),
        lambda: actions.mark_ready(complete, by=stranger),
        lambda: actions.discard_version(complete, by=stranger),
        lambda: actions.sign_terms(service.usage_regulation, by=officer(Role.SIGNER)),
    )
    for attempt in attempts:
        with pytest.raises(NotPermitted):
            attempt()
    assert not AuditEvent.objects.exists()


def test_a_state_secret_cannot_be_registered(provider, owner):
    with pytest.raises(InvalidFact) as caught:
        actions.register_service(provider, by=owner, code="mat", name="Mật", classification="secret")
    assert caught.value.code == "state_secret"
    with pytest.raises(IntegrityError), transaction.atomic():
        DataServiceFactory(classification="secret")


def test_a_regulation_of_another_agency_cannot_be_attached(provider, owner, service):
    foreign = SignedRegulationFactory()
    with pytest.raises(InvalidFact):
        actions.register_service(provider, by=owner, code="khac", name="Khác", usage_regulation=foreign)
    with pytest.raises(InvalidFact):
        actions.change_service(service, by=owner, usage_regulation=foreign)


def test_code_provider_and_status_of_a_service_stay(owner, service):
    for name, value in {"code": "khac", "provider": OrganizationFactory(), "status": "retired"}.items():
        with pytest.raises(InvalidFact):
            actions.change_service(service, by=owner, **{name: value})


def test_a_change_of_capacity_reaches_the_gateway(owner, service):
    before = current_epoch()
    actions.change_service(service, by=owner, contact="Số mới")
    assert current_epoch() == before
    assert actions.change_service(service, by=owner, capacity_rps=5) == {"capacity_rps": ["50", "5"]}
    assert current_epoch() == before + 1


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"contact": ""}, {"contact"}), ({"sla": " "}, {"sla"}), ({"description": ""}, {"description"}), ({"capacity_rps": None}, {"capacity_rps"}),
        ({"daily_quota": None, "contact": "Số mới"}, {"daily_quota"}), ({"usage_regulation": None}, {"usage_regulation"}),
    ],
    ids=str,
)  # fmt: skip
def test_wf_13_a_published_service_stays_complete(facts, told):
    service = PublishedServiceFactory()
    by = officer(Role.PROVIDER_OFFICER, service.provider)
    with pytest.raises(FactMissing) as caught:
        actions.change_service(service, by=by, **facts)
    assert set(caught.value.extra["fields"]) == told
    stored = DataService.objects.get(pk=service.pk)
    assert all(
        getattr(stored, name) for name in ("contact", "sla", "description", "capacity_rps", "daily_quota", "usage_regulation")
    )


def test_ag_04_special_becomes_default_sharing_under_signed_terms_only():
    service = PublishedServiceFactory(sharing_form=SharingForm.SPECIAL)
    by = officer(Role.PROVIDER_OFFICER, service.provider)
    unsigned = UsageRegulationFactory(organization=service.provider)
    actions.change_service(service, by=by, usage_regulation=unsigned)
    with pytest.raises(FactMissing) as caught:
        actions.change_service(service, by=by, sharing_form=SharingForm.DEFAULT)
    assert set(caught.value.extra["fields"]) == {"sharing_form"}


def test_what_is_not_published_may_be_incomplete(owner, service):
    assert actions.change_service(service, by=owner, contact="", usage_regulation=None)


def test_a_code_that_is_taken_is_said_in_a_sentence(owner, service):
    with pytest.raises(InvalidFact) as refusal:
        actions.register_service(service.provider, by=owner, code=service.code, name="Khác")
    assert refusal.value.extra["fields"]["code"] == ["Mã này đã có rồi, hãy chọn giá trị khác."]


def test_a_stale_form_changes_nothing(owner, service):
    seen = service.version
    actions.change_service(service, by=owner, contact="Một")
    with pytest.raises(StaleVersion) as refusal:
        actions.change_service(service, by=owner, version=seen, contact="Hai")
    assert refusal.value.extra["by"] == str(owner)


SERVICE_VERBS = {"suspend": actions.suspend_service, "resume": actions.resume_service, "retire": actions.retire_service}


@pytest.mark.parametrize(("verb", "status"), SERVICE.disallowed(ServiceStatus.values))
def test_a_service_takes_no_step_from_a_wrong_status(owner, provider, verb, status):
    service = DataServiceFactory(provider=provider, status=status)
    with pytest.raises(TransitionNotAllowed):
        SERVICE_VERBS[verb](service, by=owner, reason=REASON)
    service.refresh_from_db()
    assert service.status == status


@pytest.mark.parametrize("step", SERVICE.steps, ids=lambda step: step.verb)
def test_each_step_of_a_service_is_taken_written_down_and_told_to_the_gateway(owner, provider, step):
    service, before = DataServiceFactory(provider=provider, status=step.sources[0]), current_epoch()
    SERVICE_VERBS[step.verb](service, by=owner, reason=REASON)
    assert DataService.objects.get(pk=service.pk).status == step.target
    assert current_epoch() == before + 1
    assert last_event(service).actor == owner


def test_what_the_operator_suspends_only_the_operator_resumes(owner, service):
    operator = officer(Role.OPERATOR)
    actions.suspend_service(service, by=operator, reason=REASON)
    with pytest.raises(NotPermitted) as caught:
        actions.resume_service(service, by=owner)
    assert caught.value.code == "suspended_by_operator"
    actions.resume_service(service, by=operator)
    actions.suspend_service(service, by=owner, reason=REASON)
    actions.resume_service(service, by=owner)
    assert not service.suspended_by_operator


# --- the contract of a draft ---------------------------------------------------------------------


def test_a_draft_takes_a_whole_contract_and_gives_it_back(owner, service):
    version = actions.add_version(service, by=owner)
    for code in ("administrative-units", "economic-sectors", "countries"):
        CatalogFactory(code=code)
    actions.define_contract(version, BUSINESS_REGISTRATION, by=owner)
    assert contract_of(version) == read_contract(BUSINESS_REGISTRATION)
    assert (version.major, version.minor, version.status) == (1, 0, VersionStatus.DRAFT)
    activity = Field.objects.get(operation__version=version, path="Data.BusinessActivity[].CODE")
    assert (activity.parent.path, activity.parent.parent.path) == ("Data.BusinessActivity[]", "Data")
    assert last_event(version).facts["operations"][0] == "chiTietDoanhNghiep"


def test_a_new_draft_goes_on_from_what_was_published_not_from_what_was_discarded():
    service = PublishedServiceFactory()
    by = officer(Role.PROVIDER_OFFICER, service.provider)
    wrong = actions.add_version(service, by=by)
    small = {"operations": [{"code": "mot", "name": "Một", "path": "/mot", "fields": [{"path": "a", "label": "A"}]}]}
    actions.define_contract(wrong, small, by=by)
    actions.discard_version(wrong, by=by)
    again = actions.add_version(service, by=by)
    assert (again.number, contract_of(again)) == ("1.2", contract_of(service.versions.live().get()))


def test_a_contract_is_replaced_whole(owner, complete):
    small = {"operations": [{"code": "mot", "name": "Một", "path": "/mot", "fields": [{"path": "a", "label": "A"}]}]}
    actions.define_contract(complete, small, by=owner)
    assert list(complete.operations.values_list("code", flat=True)) == ["mot"]
    assert complete.interface_spec == {"samples": [], "errors": [], "documents": []}


def test_a_stale_page_does_not_overwrite_a_contract(owner, complete):
    seen = complete.version
    actions.define_contract(complete, BUSINESS_REGISTRATION, by=owner, expected=seen)
    with pytest.raises(StaleVersion) as refusal:
        actions.define_contract(complete, BUSINESS_REGISTRATION, by=owner, expected=seen)
    assert refusal.value.extra["by"] == str(owner)


def test_an_invalid_contract_changes_nothing(owner, complete):
    broken = copy.deepcopy(BUSINESS_REGISTRATION)
    broken["operations"][0]["path"] = "không phải đường dẫn"
    with pytest.raises(InvalidFact) as caught:
        actions.define_contract(complete, broken, by=owner)
    assert caught.value.code == "contract_invalid"
    assert "operations[0].path" in caught.value.extra["fields"]
    assert complete.operations.count() == 4


@pytest.mark.parametrize("level", ["basic", "sensitive"])
def test_ag_15_personal_data_is_no_part_of_the_envelope_which_comes_with_every_access(owner, complete, level):
    code, path = "chiTietDoanhNghiep", "Data.MainInformation.LEGAL_NAMES"
    for facts in ({"personal_data": level, "is_envelope": True}, {"personal_data": level}):
        if "is_envelope" not in facts:
            actions.complete_fields(complete, {code: {path: facts}}, by=owner)
            facts = {"is_envelope": True}
        with pytest.raises(InvalidFact) as caught:
            actions.complete_fields(complete, {code: {path: facts}}, by=owner)
        assert path in next(iter(caught.value.extra["fields"].values()))[0]
    assert not Field.objects.get(operation__version=complete, operation__code=code, path=path).is_envelope


def test_ag_15_a_contract_of_before_is_mended_one_operation_after_the_other(owner, complete):
    codes = list(complete.operations.values_list("code", flat=True)[:2])
    wrong = {code: Field.objects.filter(operation__version=complete, operation__code=code, is_envelope=False).exclude(
        type__in=("object", "array")).first().path for code in codes}  # fmt: skip
    for code, path in wrong.items():
        Field.objects.filter(operation__version=complete, operation__code=code, path=path).update(
            is_envelope=True, personal_data="basic"
        )
    for code, path in wrong.items():
        with pytest.raises(FactMissing) as caught:
            actions.publish_version(ServiceVersion.objects.get(pk=complete.pk), by=owner)
        assert "envelope" in caught.value.extra["fields"]
        actions.complete_fields(ServiceVersion.objects.get(pk=complete.pk), {code: {path: {"is_envelope": False}}}, by=owner)
    version = ServiceVersion.objects.get(pk=complete.pk)
    assert {item.code: item.done for item in completeness(version).items}["envelope"]


def test_ag_20_what_nobody_has_classified_is_not_taken_for_not_personal(owner, complete):
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    added = [
        {"path": "Data.Moi.SO"},
        {"path": "Data.Moi.TEN", "personal_data": ""},
        {"path": "Data.Moi.MA", "personal_data": "none"},
    ]
    contract["operations"][0]["fields"] += [{"label": "Mới", **row} for row in added]
    actions.define_contract(complete, contract, by=owner)
    classes = dict(Field.objects.filter(path__startswith="Data.Moi").values_list("path", "personal_data"))
    assert classes == {"Data.Moi": "none", "Data.Moi.SO": "", "Data.Moi.TEN": "", "Data.Moi.MA": "none"}, (
        "a group holds nothing"
    )
    hint = next(item.hint for item in completeness(complete).missing if item.code == "classes")
    assert "Data.Moi.SO, Data.Moi.TEN" in hint
    assert "Data.Moi.MA" not in hint
    said = {path: {"personal_data": "basic"} for path in ("Data.Moi.SO", "Data.Moi.TEN")}
    actions.complete_fields(complete, {contract["operations"][0]["code"]: said}, by=owner)
    assert completeness(complete).is_complete


def test_ag_20_the_next_version_keeps_what_was_said_of_each_field():
    service = PublishedServiceFactory()
    draft = actions.add_version(service, by=officer(Role.PROVIDER_OFFICER, service.provider))
    assert "classes" not in {item.code for item in completeness(draft).missing}
    before = dict(Field.objects.filter(operation__version=service.versions.live().get()).values_list("path", "personal_data"))
    assert dict(Field.objects.filter(operation__version=draft).values_list("path", "personal_data")) == before


@pytest.mark.parametrize("place", ["fields", "parameters"])
def test_a_contract_names_shared_catalogs_that_exist(owner, complete, place):
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    next(row for row in contract["operations"] if row[place])[place][0]["catalog_code"] = "khong-co"
    with pytest.raises(InvalidFact) as caught:
        actions.define_contract(complete, contract, by=owner)
    assert "khong-co" in caught.value.extra["fields"]["catalog_code"][0]
    assert not Field.objects.filter(catalog_code="khong-co").exists()


def test_a_parameter_of_a_path_is_named_as_the_provider_names_it(owner, complete):
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    contract["operations"][0]["path"] = "/doanh-nghiep/{MST}"
    contract["operations"][0]["parameters"] = [{"name": "MST", "location": "path", "required": True}]
    actions.define_contract(complete, contract, by=owner)
    assert complete.operations.get(code=contract["operations"][0]["code"]).path_template == "/doanh-nghiep/{MST}"


@pytest.mark.parametrize("response", ["x\0y", {"\ud800": 1}, float("nan"), [float("inf")]], ids=repr)
def test_a_sample_that_no_database_keeps_is_refused_with_its_place(owner, complete, response):
    samples = [{"operation": "chiTietDoanhNghiep", "request": "", "response": response}]
    with pytest.raises(InvalidFact) as caught:
        actions.complete_examples(complete, by=owner, samples=samples, errors=[], documents=[])
    assert list(caught.value.extra["fields"]) == ["samples[0].response"]


# --- addresses ----------------------------------------------------------------------------------


def test_an_address_is_set_with_a_secret_that_rests_encrypted_and_shows_nowhere(owner, complete):
    secret = {"consumer_key": "khoa", "consumer_secret": "bi-mat-tuyet-doi"}
    upstream = actions.set_upstream(
        complete, "production", by=owner, base_url=ADDRESS, auth_kind="ngsp",
        auth_settings={"token_url": "http://127.0.0.1:8002/token"}, secret=secret,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM registry_upstream WHERE id = %s", [upstream.pk])
        assert "bi-mat" not in cursor.fetchone()[0]
    assert "bi-mat" not in str(last_event(upstream).facts)
    assert "bi-mat-tuyet-doi" in Upstream.objects.get(pk=upstream.pk).secret
    assert complete.upstreams.count() == 2


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254/latest", "http://127.0.0.1:5432/", "file:///etc/passwd", "http://user:pass@127.0.0.1:8002/",
     "http://10.0.0.5:8002/", "http://127.0.0.1:8002/x?y=1", "http://127.0.0.1:8002/#a", "khong-phai-dia-chi"],
)  # fmt: skip
def test_an_address_that_may_not_be_called_cannot_be_saved(owner, complete, address):
    with pytest.raises(InvalidFact):
        actions.set_upstream(complete, "production", by=owner, base_url=address)
    assert not complete.upstreams.filter(base_url=address).exists()


def test_a_token_address_is_judged_too(owner, complete):
    with pytest.raises(InvalidFact):
        actions.set_upstream(
            complete, "test", by=owner, base_url=ADDRESS, auth_kind="ngsp", secret={"consumer_key": "a", "consumer_secret": "b"},
            auth_settings={"token_url": "http://169.254.169.254/token"},
        )  # fmt: skip


def test_a_stored_secret_is_never_sent_to_another_host(owner, complete, settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002", "127.0.0.1:9999"]
    basic = {"auth_kind": "basic", "by": owner}
    actions.set_upstream(complete, "test", base_url=ADDRESS, secret={"username": "a", "password": "b"}, **basic)
    actions.set_upstream(complete, "test", base_url=ADDRESS + "/khac", **basic)
    with pytest.raises(InvalidFact) as caught:
        actions.set_upstream(complete, "test", base_url="http://127.0.0.1:9999/", **basic)
    assert caught.value.code == "secret_needed"
    assert '"b"' in complete.upstreams.get(environment="test").secret


@pytest.mark.parametrize(
    "facts",
    [{"auth_kind": "basic", "secret": {"username": "a"}}, {"auth_kind": "magic"}, {"auth_settings": {"password": "x"}},
     {"timeout_ms": 0}, {"max_concurrency": 10_000}, {"version_id": 1}, {"auth_kind": "basic", "secret": "không phải JSON"}],
)  # fmt: skip
def test_half_an_authentication_and_wild_limits_are_refused(owner, complete, facts):
    with pytest.raises(InvalidFact):
        actions.set_upstream(complete, "test", by=owner, base_url=ADDRESS, **facts)


def test_the_gateway_hears_of_a_new_address_only_when_the_version_is_live(owner, complete):
    before = current_epoch()
    actions.set_upstream(complete, "test", by=owner, base_url=ADDRESS)
    assert current_epoch() == before
    live = PublishedVersionFactory(service=complete.service, major=2)
    actions.set_upstream(live, "test", by=owner, base_url=ADDRESS)
    assert current_epoch() == before + 1


# --- publishing ---------------------------------------------------------------------------------


def test_a_complete_draft_is_published_and_the_gateway_hears_of_it(owner, complete):
    before = current_epoch()
    actions.publish_version(complete, by=owner)
    stored = ServiceVersion.objects.get(pk=complete.pk)
    assert (stored.status, stored.published_by) == (VersionStatus.PUBLISHED, owner)
    assert stored.published_at is not None
    assert current_epoch() == before + 1
    assert last_event(complete).event == "service_version.published"


def spoil_service(name, value):
    def spoil(version):
        DataService.objects.filter(pk=version.service_id).update(**{name: value})

    return spoil


def spoil_contract(version):
    version.operations.all().delete()


def spoil_label(version):
    Field.objects.filter(operation__version=version, path="Data.MainInformation.NAME").update(label="")


SPOILERS = {
    "description": spoil_service("description", " "),
    "contact": spoil_service("contact", ""),
    "sla": spoil_service("sla", ""),
    "capacity": spoil_service("capacity_rps", None),
    "focal_point": lambda v: v.service.provider.focal_points.update(ended_at=timezone.now()),
    "usage_regulation": spoil_service("usage_regulation", None),
    "terms_signed": lambda v: DataService.objects.filter(pk=v.service_id).update(
        usage_regulation=UsageRegulationFactory(organization=v.service.provider)
    ),
    "operations": spoil_contract,
    "protocol": spoil_service("protocol", "soap"),
    "fields": lambda v: v.operations.first().fields.all().delete(),
    "labels": spoil_label,
    "classes": lambda v: Field.objects.filter(operation__version=v, path="Data.MainInformation.NAME").update(personal_data=""),
    "envelope": lambda v: Field.objects.filter(operation__version=v, path="Data.MainInformation.NAME").update(
        is_envelope=True, personal_data="basic"
    ),
    "samples": lambda v: ServiceVersion.objects.filter(pk=v.pk).update(interface_spec={"errors": [{"code": "0"}]}),
    "errors": lambda v: ServiceVersion.objects.filter(pk=v.pk).update(
        interface_spec={**v.interface_spec, "errors": []}
    ),
    "upstream_test": lambda v: v.upstreams.filter(environment="test").delete(),
    "upstream_production": lambda v: v.upstreams.filter(environment="production").delete(),
}  # fmt: skip


def test_every_question_of_completeness_is_spoiled_below(complete):
    assert {item.code for item in completeness(complete).items} == set(SPOILERS)
    assert completeness(complete).score == 100


def test_each_question_names_the_act_it_is_of(complete):
    cited = {item.code: item.citation for item in completeness(complete).items}
    assert cited["samples"] == "NĐ 47/2020/NĐ-CP Điều 24(3)"
    assert cited["classes"] == cited["envelope"] == "Luật 91/2025/QH15 Điều 2"


@pytest.mark.parametrize("code", SPOILERS)
def test_what_is_missing_blocks_publishing_and_is_named(owner, complete, code):
    SPOILERS[code](complete)
    version = ServiceVersion.objects.get(pk=complete.pk)
    with pytest.raises(FactMissing) as caught:
        actions.publish_version(version, by=owner)
    assert code in caught.value.extra["fields"]
    assert caught.value.extra["score"] < 100
    assert ServiceVersion.objects.get(pk=complete.pk).status == VersionStatus.DRAFT


def test_special_sharing_needs_no_standing_signature(owner, complete):
    spoil_service("sharing_form", SharingForm.SPECIAL)(complete)
    spoil_service("usage_regulation", UsageRegulationFactory(organization=complete.service.provider))(complete)
    actions.publish_version(ServiceVersion.objects.get(pk=complete.pk), by=owner)


def test_a_regulation_of_tomorrow_does_not_open_a_service_today(owner, complete):
    tomorrow = timezone.localdate() + datetime.timedelta(days=1)
    later = SignedRegulationFactory(organization=complete.service.provider, effective_from=tomorrow)
    spoil_service("usage_regulation", later)(complete)
    with pytest.raises(FactMissing):
        actions.publish_version(ServiceVersion.objects.get(pk=complete.pk), by=owner)


@pytest.mark.parametrize(("name", "value", "code"), [("status", "suspended", "service_not_active")])
def test_a_suspended_service_publishes_nothing(owner, complete, name, value, code):
    spoil_service(name, value)(complete)
    with pytest.raises(Conflict) as caught:
        actions.publish_version(ServiceVersion.objects.get(pk=complete.pk), by=owner)
    assert caught.value.code == code


def test_people_of_a_suspended_agency_publish_nothing():
    service = DataServiceFactory(provider=SuspendedOrganizationFactory())
    version = DraftVersionFactory(service=service)
    with pytest.raises(NotPermitted):
        actions.publish_version(version, by=officer(Role.PROVIDER_OFFICER, service.provider))


def test_the_next_minor_is_refused_while_the_one_before_is_live_unless_named(owner, complete):
    actions.publish_version(complete, by=owner)
    following = actions.add_version(complete.service, by=owner, change_note="Thêm trường")
    assert (following.major, following.minor) == (1, 1)
    assert contract_of(following) == contract_of(complete)
    assert following.upstreams.count() == 2
    with pytest.raises(Conflict) as caught:
        actions.publish_version(following, by=owner)
    assert caught.value.code == "minor_in_use"
    before = current_epoch()
    actions.publish_version(following, by=owner, replaces=complete)
    assert ServiceVersion.objects.get(pk=complete.pk).status == VersionStatus.RETIRED
    assert current_epoch() == before + 2


def test_a_new_major_lives_beside_the_old_one(owner, complete):
    actions.publish_version(complete, by=owner)
    following = actions.add_version(complete.service, by=owner, bump="major")
    actions.publish_version(following, by=owner)
    assert complete.service.versions.live().count() == 2


def test_one_draft_at_a_time(owner, complete):
    with pytest.raises(Conflict) as caught:
        actions.add_version(complete.service, by=owner)
    assert caught.value.code == "draft_open"
    actions.discard_version(complete, by=owner)
    following = actions.add_version(complete.service, by=owner)
    assert (following.major, following.minor) == (1, 1)


TAKE = {
    "publish": lambda v, by: actions.publish_version(v, by=by),
    "deprecate": lambda v, by: actions.deprecate_version(v, by=by, until=timezone.localdate() + datetime.timedelta(days=30)),
    "postpone": lambda v, by: actions.postpone_end(v, by=by, until=timezone.localdate() + datetime.timedelta(days=90)),
    "retire": lambda v, by: actions.retire_version(v, by=by, reason=REASON),
    "discard": lambda v, by: actions.discard_version(v, by=by),
}


def version_in(status: str, service) -> ServiceVersion:
    if status == VersionStatus.DRAFT:
        return DraftVersionFactory(service=service)
    version = PublishedVersionFactory(service=service)
    if status != VersionStatus.PUBLISHED:
        ServiceVersion.objects.filter(pk=version.pk).update(status=status)
        version.refresh_from_db()
    return version


@pytest.mark.parametrize(("verb", "status"), [p for p in VERSION.disallowed(VersionStatus.values) if p[0] != "replace"])
def test_a_version_takes_no_step_from_a_wrong_status(owner, service, verb, status):
    version = version_in(status, service)
    with pytest.raises(TransitionNotAllowed):
        TAKE[verb](version, owner)
    version.refresh_from_db()
    assert version.status == status


@pytest.mark.parametrize("verb", ["deprecate", "retire"])
def test_a_live_version_ends_with_a_date_or_at_once(owner, service, verb):
    version, before = PublishedVersionFactory(service=service), current_epoch()
    TAKE[verb](version, owner)
    assert version.status == VERSION.step(verb).target
    assert current_epoch() == before + (verb == "retire")
    assert last_event(version).actor == owner


def test_the_end_is_announced_for_a_day_to_come(owner, service):
    with pytest.raises(InvalidFact):
        actions.deprecate_version(PublishedVersionFactory(service=service), by=owner, until=timezone.localdate())


def test_readiness_starts_the_clock_and_is_not_in_the_future(owner, complete):
    with pytest.raises(InvalidFact):
        actions.mark_ready(complete, by=owner, ready_at=timezone.now() + datetime.timedelta(hours=1))
    moment = timezone.now() - datetime.timedelta(hours=3)
    assert actions.mark_ready(complete, by=owner, ready_at=moment).ready_at == moment


def test_publishing_that_blows_up_late_leaves_a_draft(owner, complete, monkeypatch):
    before = current_epoch()

    def explode(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("apps.registry.actions.versions.audit.record", explode)
    with pytest.raises(RuntimeError):
        actions.publish_version(complete, by=owner)
    assert ServiceVersion.objects.get(pk=complete.pk).status == VersionStatus.DRAFT
    assert current_epoch() == before


# --- what was published is final ------------------------------------------------------------------


def every_way_to_edit(version):
    operation = version.operations.first()
    yield lambda: operation.fields.update(label="khác")
    yield lambda: operation.fields.first().delete()
    yield lambda: operation.parameters.update(required=False)
    yield lambda: Field.objects.create(operation=operation, path="moi", name="moi")
    yield lambda: Operation.objects.filter(pk=operation.pk).update(path_template="/khac")
    yield lambda: Operation.objects.create(version=version, code="moi", name="Mới", path_template="/moi")
    yield lambda: version.operations.all().delete()
    yield lambda: ServiceVersion.objects.filter(pk=version.pk).update(minor=7)
    yield lambda: ServiceVersion.objects.filter(pk=version.pk).update(interface_spec={})
    yield lambda: ServiceVersion.objects.filter(pk=version.pk).update(status="draft")
    yield lambda: ServiceVersion.objects.filter(pk=version.pk).update(published_at=None)
    yield lambda: ServiceVersion.objects.filter(pk=version.pk)._raw_delete("default")


@pytest.mark.parametrize("status", ["published", "deprecated", "retired"])
def test_the_database_refuses_every_edit_of_a_published_contract(service, status):
    version = version_in(status, service)
    count = 0
    for edit in every_way_to_edit(version):
        with pytest.raises(DatabaseError), transaction.atomic():
            edit()
        count += 1
    assert count == 12
    assert contract_of(version) == read_contract(BUSINESS_REGISTRATION)


def test_a_field_cannot_be_moved_into_a_published_operation(service, complete):
    live = PublishedVersionFactory(service=service, major=2)
    field = Field.objects.filter(operation__version=complete).first()
    with pytest.raises(DatabaseError), transaction.atomic():
        Field.objects.filter(pk=field.pk).update(operation=live.operations.first(), path="lau")


def test_verbs_on_a_published_version_say_so(owner, service):
    version = PublishedVersionFactory(service=service)
    with pytest.raises(TransitionNotAllowed):
        actions.define_contract(version, BUSINESS_REGISTRATION, by=owner)
    with pytest.raises(TransitionNotAllowed):
        actions.mark_ready(version, by=owner)


# --- terms --------------------------------------------------------------------------------------

TERMS = {
    "number": "12/QĐ-SKHĐT", "title": "Quy chế khai thác", "issued_on": datetime.date(2026, 1, 5),
    "effective_from": datetime.date(2026, 1, 15), "terms": "Chỉ dùng đúng mục đích.",
}  # fmt: skip


def test_one_writes_the_terms_and_another_signs_them(provider, owner):
    LegalRule.objects.filter(code="log.retention_default").update(value=18)
    regulation = actions.write_terms(provider, by=owner, **TERMS)
    assert regulation.log_retention_months == 18, "what is usual is the legal officer's rule"
    signer = officer(Role.SIGNER, provider)
    actions.sign_terms(regulation, by=signer)
    assert regulation.terms_signed_by == signer
    assert regulation.terms_hash == terms_hash(regulation)
    assert last_event(regulation).facts == {"hash": regulation.terms_hash}


def test_who_wrote_the_terms_does_not_sign_them(provider, owner):
    from apps.organizations.models import Membership

    regulation = actions.write_terms(provider, by=owner, **TERMS)
    Membership.objects.create(user=owner, organization=provider, role=Role.SIGNER)
    both = type(owner).objects.get(pk=owner.pk)
    with pytest.raises(NotPermitted) as caught:
        actions.sign_terms(regulation, by=both)
    assert caught.value.code == "four_eyes"
    regulation.terms_signed_by, regulation.terms_signed_at, regulation.terms_hash = both, timezone.now(), "x"
    with pytest.raises(IntegrityError), transaction.atomic():
        regulation.save()


def test_who_edits_the_terms_becomes_their_author(provider, owner):
    regulation = actions.write_terms(provider, by=owner, **TERMS)
    second = officer(Role.PROVIDER_OFFICER, provider)
    actions.change_terms(regulation, by=second, terms="Khác")
    assert regulation.written_by == second


def test_officers_do_not_sign_and_signers_do_not_write(provider, owner):
    regulation = actions.write_terms(provider, by=owner, **TERMS)
    with pytest.raises(NotPermitted):
        actions.sign_terms(regulation, by=owner)
    with pytest.raises(NotPermitted):
        actions.write_terms(provider, by=officer(Role.SIGNER, provider), **TERMS)


def test_empty_terms_are_not_signed_and_signed_ones_are_final(provider, owner):
    signer = officer(Role.SIGNER, provider)
    empty = actions.write_terms(provider, by=owner, **{**TERMS, "terms": " "})
    with pytest.raises(FactMissing):
        actions.sign_terms(empty, by=signer)
    signed = SignedRegulationFactory(organization=provider)
    for attempt in (
        lambda: actions.sign_terms(signed, by=signer),
        lambda: actions.change_terms(signed, by=owner, terms="Khác"),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "already_signed"
    with pytest.raises(DatabaseError), transaction.atomic():
        type(signed).objects.filter(pk=signed.pk).update(terms="Khác")
    with pytest.raises(DatabaseError), transaction.atomic():
        type(signed).objects.filter(pk=signed.pk)._raw_delete("default")


def test_a_signed_regulation_can_still_be_ended(provider, owner):
    signed = SignedRegulationFactory(organization=provider)
    day = timezone.localdate() + datetime.timedelta(days=10)
    actions.end_terms(signed, by=owner, effective_to=day)
    assert signed.is_effective_on(day - datetime.timedelta(days=1))
    assert not signed.is_effective_on(day)
    with pytest.raises(InvalidFact):
        actions.end_terms(signed, by=owner, effective_to=timezone.localdate() - datetime.timedelta(days=1))


def test_purposes_are_the_legal_officers_and_the_operators(owner):
    for role in (Role.LEGAL_OFFICER, Role.OPERATOR):
        purpose = actions.name_purpose(f"muc-dich-{role.value.replace('_', '-')}", "Mục đích", by=officer(role))
        actions.change_purpose(purpose, by=officer(role), is_active=False)
    with pytest.raises(NotPermitted):
        actions.name_purpose("khac", "Khác", by=owner)


def test_a_published_service_of_the_factory_is_live():
    service = PublishedServiceFactory()
    assert list(DataService.objects.live()) == [service]
