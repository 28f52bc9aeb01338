"""The demonstration province: loaded once, whole or not at all, through the ordinary verbs."""

import stat

import pytest
from django.conf import settings
from django.core.management import call_command

from apps.agreements.models import Agreement, Credential, Grant
from apps.audit.models import AuditEvent
from apps.catalogs.models import Release
from apps.connections import files
from apps.connections.models import ConnectionRequest
from apps.organizations.models import InformationSystem, Organization
from apps.portal.demo import cases, secrets
from apps.registry.models import Upstream


@pytest.fixture
def sandbox_settings(settings):
    settings.SANDBOX_URL, settings.SANDBOX_KEY, settings.SANDBOX_SECRET = "http://127.0.0.1:18002", "key", "secret"
    settings.EGRESS_ALLOW = ["127.0.0.1:18002", "127.0.0.1:18003"]
    return settings


def load() -> None:
    call_command("load_demo")


def test_the_province_tells_the_story_of_2019_and_a_second_load_changes_nothing(db, sandbox_settings, capsys):
    load()
    assert Organization.objects.count() >= 12
    kinds = set(InformationSystem.objects.values_list("kind", flat=True))
    assert {"public_service", "one_stop", "documents", "tender", "budget", "notary"} <= kinds
    states = sorted(ConnectionRequest.objects.values_list("status", flat=True))
    assert states == ["approved", "approved", "approved", "awaiting_provider", "checking", "draft", "refused", "returned"]
    assert sorted(Agreement.objects.values_list("status", flat=True)) == ["awaiting_signatures", "ending", "in_force"]
    open_grants = Grant.objects.exclude(status="ended").values_list("environment", "status")
    assert sorted(open_grants) == [("production", "active"), ("test", "active")]
    special_sharing_waits_for_the_providers_signer()
    a_termination_waits_for_the_providers_statistics()
    assert all(Credential.objects.exclude(status="unclaimed").values_list("secret_hash", flat=True))
    the_reform_was_held_and_published_by_a_named_person()
    secrets_are_readable_by_their_owner_only(capsys)

    kept, events = secrets.kept(), AuditEvent.objects.count()
    load()
    assert (secrets.kept(), AuditEvent.objects.count()) == (kept, events)

    sandbox_settings.SANDBOX_URL = "http://127.0.0.1:18003"
    load()
    assert {address.split("/")[2] for address in Upstream.objects.values_list("base_url", flat=True)} == {"127.0.0.1:18003"}


def special_sharing_waits_for_the_providers_signer() -> None:
    agreement = Agreement.objects.get(sharing_form="special")
    newest = agreement.versions.order_by("-number").first()
    assert newest.number == 2
    assert [signature.party.side for signature in newest.signatures.all()] == ["consumer"]
    assert [one["authority"] for one in newest.content["providers"][0]["representatives"]] == [
        "118/QĐ-ĐKKD ngày 12/01/2026 của Cục trưởng"
    ]


def a_termination_waits_for_the_providers_statistics() -> None:
    duties = Agreement.objects.get(status="ending").duties
    assert [duty.kind for duty in duties.filter(done_at=None)] == ["final_statistics"]
    assert files.read(duties.get(kind="data_deleted").certificate).startswith(b"%PDF-1.4")


def the_reform_was_held_and_published_by_a_named_person() -> None:
    reform = Release.objects.get(catalog__code="administrative-units", number=2)
    assert set(reform.hold_reasons) >= {"closed_share", "reused_code"}
    published = AuditEvent.objects.filter(event="release.published").about(reform).get()
    assert published.actor.username == "vanhanh"


def secrets_are_readable_by_their_owner_only(capsys) -> None:
    for name in (secrets.STATE, secrets.TOKEN_CONFIG):
        assert stat.S_IMODE((settings.VAR_DIR / name).stat().st_mode) == 0o600
    capsys.readouterr()
    call_command("demo_summary")
    printed = capsys.readouterr().out
    (line,) = [row for row in printed.splitlines() if row.startswith("curl ")]
    secret = (settings.VAR_DIR / secrets.TOKEN_CONFIG).read_text().split('user = "')[1].split('"')[0].split(":")[1]
    assert len(secret) >= 43
    assert secret not in line
    assert "khaithac" in printed


@pytest.mark.django_db(transaction=True)
def test_a_load_that_breaks_late_leaves_nothing(sandbox_settings, monkeypatch, capsys):
    def broken(people):
        raise RuntimeError("killed here")

    monkeypatch.setitem(cases.play.__globals__, "_draft", broken)
    with pytest.raises(RuntimeError):
        load()
    assert not Organization.objects.exists()
