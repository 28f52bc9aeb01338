"""docs/lifecycles.md is made from the tables and the rules themselves; `LGSP_WRITE_DOCS=1 pytest <this file>` writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.utils import timezone, translation

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, GrantStatus
from apps.agreements.models import Credential, Suspension
from apps.agreements.workflow import ACCEPTANCE, AGREEMENT, CREDENTIAL, GRANT
from apps.connections.choices import DecisionStatus, RequestStatus
from apps.connections.workflow import DECISION, REQUEST
from apps.disputes.actions import open_ticket, raise_dispute
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind, TicketStatus
from apps.disputes.workflow import DISPUTE, TICKET
from apps.legal.models import RefusalGround
from apps.organizations.choices import Role
from apps.registry.actions import give_feedback
from apps.registry.choices import FeedbackStatus, ServiceStatus, VersionStatus
from apps.registry.workflow import FEEDBACK, SERVICE, VERSION
from tests.factories.agreements import agreement_in_force, recorded
from tests.factories.connections import forwarded, world
from tests.factories.organizations import officer
from tests.factories.registry import DraftVersionFactory

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycles.md"
HEAD = """# Lifecycles

Made from the code by `tests/agreements/test_lifecycles_doc.py`, which also checks it. Do not edit by hand.

Each first table is the lifecycle as the code holds it; a step without a permission is taken by the clock or by another
verb. Each second table says who may take which step in which state (suspended: by the provider; a dispute, a ticket and a
question about a service: of the consumer); nobody else may take any.
"""
ROLES = ("consumer officer", "consumer's signer", "provider officer", "provider's signer", "operator", "legal officer", "auditor",
         "stranger")  # fmt: skip


def people(w) -> dict:
    found = (w.consumer_officer, w.consumer_signer, w.provider_officer, w.provider_signer, w.operator,
             officer(Role.LEGAL_OFFICER), officer(Role.AUDITOR), w.stranger)  # fmt: skip
    return dict(zip(ROLES, found, strict=True))


def steps_table(workflow) -> list[str]:
    rows = ["| step | from | to | permission | note |", "|---|---|---|---|---|"]
    for step in workflow.steps:
        rows.append(
            f"| {step.verb} | {', '.join(step.sources) or '(birth)'} | {step.target} | {step.permission or '–'} | {step.note} |"
        )
    return rows


def roles_table(workflow, obj, statuses, persons, **facts) -> list[str]:
    rows = [f"| state | {' | '.join(persons)} |", f"|---|{'---|' * len(persons)}"]
    for status in statuses:
        type(obj).objects.filter(pk=obj.pk).update(status=status, **facts)
        obj = type(obj).objects.get(pk=obj.pk)
        cells = [", ".join(step.verb for step in workflow.available(obj, person)) or "·" for person in persons.values()]
        rows.append(f"| {status} | {' | '.join(cells)} |")
    return rows


def between_two(w, agreement, persons) -> list[tuple]:
    """What the consumer raises against the provider, or asks it, under an agreement in force."""
    facts = {"category": DisputeCategory.DATA, "title": "x", "description": "x"}
    dispute = raise_dispute(agreement, by=w.consumer_officer, **facts)
    ticket = open_ticket(agreement, by=w.consumer_officer, kind=TicketKind.WRONG_DATA, asked_of=w.provider, text="x")
    return [
        ("Dispute", DISPUTE, roles_table(DISPUTE, dispute, DisputeStatus.values, persons)),
        ("Ticket", TICKET, roles_table(TICKET, ticket, TicketStatus.values, persons)),
    ]


def offered(w, persons) -> list[tuple]:
    """The provider's service, its next version, and what the consumer asks about it."""
    question = give_feedback(w.service, by=w.consumer_officer, text="x")
    answered = {"answer": "x", "answered_by": w.provider_officer, "answered_at": timezone.now()}
    version = DraftVersionFactory(service=w.service, major=2)
    return [
        ("Data service", SERVICE, roles_table(SERVICE, w.service, ServiceStatus.values, persons)),
        ("Service version", VERSION, roles_table(VERSION, version, VersionStatus.values, persons)),
        ("Question about a service", FEEDBACK, roles_table(FEEDBACK, question, FeedbackStatus.values, persons, **answered)),
    ]


@pytest.fixture
def page(db) -> str:
    w = world()
    persons = people(w)
    request = forwarded(w)
    ground = {"refusal_ground": RefusalGround.objects.first(), "refusal_reason": "x", "refusal_citation": "x"}
    parts = [("Request", REQUEST, roles_table(REQUEST, request, RequestStatus.values, persons, **ground))]
    decision = forwarded(w).decisions.get()
    parts.append(("Provider's part of the decision", DECISION, roles_table(DECISION, decision, DecisionStatus.values, persons)))
    agreement = agreement_in_force(w)
    record, grant = recorded(w, agreement), agreement.grants.get()
    talk = between_two(w, agreement, persons)
    account = Credential.objects.get(system=w.system)
    secret = {"secret_hash": "0" * 64, "claimed_at": timezone.now()}
    parts.append(("Test record", ACCEPTANCE, roles_table(ACCEPTANCE, record, AcceptanceStatus.values, persons)))
    parts.append(("Credential", CREDENTIAL, roles_table(CREDENTIAL, account, CredentialStatus.values, persons, **secret)))
    # Suspended by their provider: what only whoever suspended takes is shown for it.
    for one in (None, grant):
        Suspension.objects.create(
            agreement=agreement,
            grant=one,
            provider=w.provider,
            reason="x",
            since=timezone.now(),
            suspended_by=w.provider_officer,
        )
    parts.append(("Grant", GRANT, roles_table(GRANT, grant, GrantStatus.values, persons)))
    parts.insert(2, ("Agreement", AGREEMENT, roles_table(AGREEMENT, agreement, AgreementStatus.values, persons)))
    parts += [*talk, *offered(w, persons)]
    blocks = [HEAD]
    for title, workflow, table in parts:
        blocks.append("\n".join([f"## {title}", "", *steps_table(workflow), "", *table, ""]))
    return "\n".join(blocks)


def test_the_page_says_what_the_code_does(page):
    with translation.override("en"):
        if os.environ.get("LGSP_WRITE_DOCS"):
            PAGE.write_text(page, encoding="utf-8")
        assert PAGE.read_text(encoding="utf-8") == page
