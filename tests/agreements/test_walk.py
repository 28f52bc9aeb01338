"""CC-02: people of every role take steps at random; no order of them leads to a state the law does not know.

500 walks of 50 steps, 10,000 in the whole run. A step that is refused must change nothing; a step that is taken must
be a row of the table and leave exactly one audit event of its kind.

What a walk starts from is committed once, and each walk is a transaction that is rolled back. What the database holds is
read again only after a step that was taken: a refused one changed nothing, which one statement after it makes sure of.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.agreements import actions as agreements
from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import AcceptanceRecord, Agreement, AgreementVersion, Credential, Grant
from apps.agreements.workflow import AGREEMENT
from apps.audit.models import AuditEvent
from apps.connections import actions as connections
from apps.connections.models import ConnectionRequest
from apps.connections.workflow import REQUEST
from apps.core.errors import DomainError
from apps.legal.models import RefusalGround
from lgsp.dev.testing import share
from tests.factories.agreements import special_world
from tests.factories.connections import World, complete_draft, world

PEOPLE = ("consumer_officer", "consumer_signer", "provider_officer", "provider_signer", "operator", "stranger", "clock")
ACTOR = st.sampled_from(PEOPLE)
LIVE = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
REQUEST_EVENTS = ("submitted", "forwarded", "returned", "approved", "refused", "withdrawn", "lapsed")


_TRACE = """
SELECT r.status, r.version, a.status, a.version, (SELECT max(id) FROM audit_auditevent), (SELECT epoch FROM core_policyepoch)
FROM connections_connectionrequest r
LEFT JOIN agreements_requestbasis b ON b.request_id = r.id LEFT JOIN agreements_agreement a ON a.id = b.agreement_id
WHERE r.id = %s
"""


class Trace(NamedTuple):
    """What no refusal may touch, and every step that is taken must: each verb records an event."""

    request: str
    request_version: int
    agreement: str | None
    agreement_version: int | None
    last_event: int
    epoch: int

    @property
    def statuses(self) -> tuple[str, str | None]:
        return self.request, self.agreement


class Start(NamedTuple):
    """Where walks begin: people and agencies, and a complete draft; committed."""

    world: World
    draft: int


class Walk(RuleBasedStateMachine):
    """One request and whatever comes of it."""

    starts: dict[bool, Start] = {}
    ground: RefusalGround
    reached: set = set()

    @initialize(special=st.booleans())
    def begin(self, special):
        self.point = transaction.atomic()
        self.point.__enter__()
        self.w, self.pk = self.starts[special]
        self.moves = 0
        self.rows: dict = {}
        self.hopeless: set = set()
        self.trace = self.look()
        self.changed = True

    def teardown(self):
        if hasattr(self, "point"):
            connection.check_constraints()  # the deferred ones too: no walk would be refused at its commit
            transaction.set_rollback(True)
            self.point.__exit__(None, None, None)

    # --- helpers --------------------------------------------------------------------------------

    def person(self, name):
        return self.w.operator if name == "clock" else getattr(self.w, name)

    def look(self) -> Trace:
        with connection.cursor() as cursor:
            cursor.execute(_TRACE, [self.pk])
            return Trace(*cursor.fetchone())

    def fresh(self, name, rows):
        """The first of `rows` as another process would read it now; each step gets a copy of its own."""
        if name not in self.rows:
            self.rows[name] = rows.first()
        return copy.copy(self.rows[name])

    @property
    def request(self):
        return self.fresh("request", ConnectionRequest.objects.filter(pk=self.pk))

    @property
    def agreement(self):
        if self.trace.agreement is None:
            return None
        return self.fresh("agreement", Agreement.objects.filter(bases__request=self.pk))

    def newest(self, model):
        return self.fresh(model, model.objects.order_by("-pk"))

    def act(self, verb, obj, *, by, **facts):
        """Take a step; a refusal must leave everything as it was, a success must be a row of a table.

        Whom the same step was refused since the last change is refused again: nothing that is read is another.
        """
        step = verb, by.pk
        if obj is None or step in self.hopeless:
            return
        before = self.trace
        try:
            verb(obj, by=by, **facts)
        except DomainError:
            self.hopeless.add(step)
            assert self.look() == before
            return
        self.rows, self.hopeless, self.trace, self.changed = {}, set(), self.look(), True
        assert self.trace.last_event > before.last_event, "a step without an event"
        self.check_rows(before.statuses, self.trace.statuses)

    def on_newest(self, verb, who):
        """`verb` on the newest content of the agreement, which the person has read."""
        if self.trace.agreement is not None:
            shown = self.fresh(
                "version", AgreementVersion.objects.filter(agreement__bases__request=self.pk).order_by("-number")
            )
            self.act(verb, self.agreement, by=self.person(who), content_hash=shown.content_hash)

    def check_rows(self, before, after):
        if before[0] != after[0]:
            self.moves += 1
            assert any(before[0] in s.sources and s.target == after[0] for s in REQUEST.steps), (before, after)
        if before[1] and before[1] != after[1]:
            assert any(before[1] in s.sources and s.target == after[1] for s in AGREEMENT.steps), (before, after)
        if before[1] is None and after[1] is not None:
            assert after == ("approved", after[1])
            assert after[1] in (AgreementStatus.IN_FORCE, AgreementStatus.NEGOTIATING)

    # --- the request ----------------------------------------------------------------------------

    @rule(who=ACTOR)
    def save(self, who):
        self.act(connections.save_draft, self.request, by=self.person(who), note=f"lần {self.moves}")

    @rule(who=ACTOR)
    def sign(self, who):
        self.act(connections.sign_request, self.request, by=self.person(who))

    @rule(who=ACTOR)
    def submit(self, who):
        self.act(connections.submit_request, self.request, by=self.person(who))

    @rule()
    def right_step(self):
        """What should come next, by whoever should do it: without it few walks would get far."""
        state, agreement = self.trace.statuses
        if state in ("draft", "returned"):
            self.act(connections.sign_request, self.request, by=self.w.consumer_signer)
            self.act(connections.submit_request, self.request, by=self.w.consumer_officer)
        elif state == "checking":
            self.forward(who="operator")
        elif state == "awaiting_provider":
            self.approve(who="provider_officer")
        elif agreement == AgreementStatus.NEGOTIATING:
            self.agree(who="consumer_officer")
            self.agree(who="provider_officer")
        elif agreement == AgreementStatus.AWAITING_SIGNATURES:
            self.sign_agreement(who="consumer_signer")
            self.sign_agreement(who="provider_signer")
        elif agreement == AgreementStatus.IN_FORCE:
            self.record(who="consumer_officer")
            self.confirm(who="provider_officer")
        self.reached.add(self.trace.statuses)

    @rule(who=ACTOR)
    def forward(self, who):
        self.act(connections.forward_request, self.request, by=self.person(who))

    @rule(who=ACTOR)
    def give_back(self, who):
        self.act(connections.return_request, self.request, by=self.person(who), remarks=[("note", "Thiếu")])

    @rule(who=ACTOR)
    def refuse(self, who):
        facts = {"ground": self.ground, "reason": "x", "citation": "y"}
        self.act(connections.refuse_request, self.request, by=self.person(who), **facts)

    @rule(who=st.sampled_from(("stranger", "provider_officer", "operator", "consumer_officer")), really=st.integers(0, 5))
    def withdraw(self, who, really):
        if really == 0 or who != "consumer_officer":
            self.act(connections.withdraw_request, self.request, by=self.person(who))

    @rule(who=ACTOR)
    def approve(self, who):
        self.act(agreements.approve_request, self.request, by=self.person(who))

    # --- the agreement --------------------------------------------------------------------------

    @rule(who=ACTOR)
    def propose(self, who):
        self.act(agreements.propose_content, self.agreement, by=self.person(who), changes={"other_terms": "x"}, note="y")

    @rule(who=ACTOR)
    def agree(self, who):
        self.on_newest(agreements.agree_content, who)

    @rule(who=ACTOR)
    def sign_agreement(self, who):
        self.on_newest(agreements.sign_agreement, who)

    @rule(who=ACTOR)
    def reopen(self, who):
        self.act(agreements.reopen_agreement, self.agreement, by=self.person(who), reason="x")

    @rule(who=ACTOR)
    def suspend(self, who):
        facts = {"kind": "violation", "violation": "x", "plan": "y", "restore_conditions": "z"}
        self.act(agreements.suspend_agreement, self.agreement, by=self.person(who), **facts)

    @rule(who=ACTOR)
    def resume(self, who):
        self.act(agreements.resume_agreement, self.agreement, by=self.person(who))

    @rule(who=ACTOR, really=st.integers(0, 3))
    def terminate(self, who, really):
        if really == 0:
            self.act(agreements.terminate_agreement, self.agreement, by=self.person(who), ground="authority", reason="x")

    @rule(who=ACTOR)
    def finish(self, who):
        self.act(agreements.finish_termination, self.agreement, by=self.person(who))

    # --- access ---------------------------------------------------------------------------------

    @rule(who=ACTOR)
    def record(self, who):
        facts = {"system": self.w.system, "tested_on": timezone.localdate(), "summary": "x"}
        self.act(agreements.record_acceptance, self.agreement, by=self.person(who), **facts)

    @rule(who=ACTOR)
    def confirm(self, who):
        self.act(agreements.confirm_acceptance, self.newest(AcceptanceRecord), by=self.person(who))

    @rule(who=ACTOR)
    def suspend_grant(self, who):
        self.act(agreements.suspend_grant, self.newest(Grant), by=self.person(who), reason="x")

    @rule(who=ACTOR)
    def resume_grant(self, who):
        self.act(agreements.resume_grant, self.newest(Grant), by=self.person(who))

    @rule(who=ACTOR)
    def claim(self, who):
        self.act(agreements.claim_credential, self.newest(Credential), by=self.person(who))

    # --- what must hold, always -----------------------------------------------------------------

    @invariant()
    def all_of_it(self):
        """Looked at after every step that was taken; a refused one changed nothing (`act` made sure)."""
        if getattr(self, "changed", False):
            self.changed = False
            self.every_move_of_the_request_has_one_event()
            if self.trace.request == "approved":
                self.approved_means_by_every_provider_and_by_nobody_of_the_requesting_side()
                self.in_force_means_signed_by_every_party_and_not_by_the_drafter()
                self.access_needs_an_agreement_that_lives_and_production_a_confirmed_test()

    def every_move_of_the_request_has_one_event(self):
        events = [f"request.{name}" for name in REQUEST_EVENTS]
        assert AuditEvent.objects.about(self.request).filter(event__in=events).count() == self.moves

    def approved_means_by_every_provider_and_by_nobody_of_the_requesting_side(self):
        for part in self.request.decisions.all():
            assert part.status == "approved"
            assert part.decided_by not in (self.w.consumer_officer, self.w.consumer_signer, self.w.stranger)

    def in_force_means_signed_by_every_party_and_not_by_the_drafter(self):
        agreement = self.agreement
        if agreement.status in LIVE:
            version = agreement.versions.get(state="current")
            signers = set(version.signatures.values_list("signer", flat=True))
            assert len(signers) == version.signatures.count() == agreement.parties.count()
            assert version.drafted_by_id not in signers

    def access_needs_an_agreement_that_lives_and_production_a_confirmed_test(self):
        grants = Grant.objects.filter(agreement__bases__request=self.pk).exclude(status=GrantStatus.ENDED)
        assert not grants.exclude(agreement__status__in=LIVE).exists()
        if grants.filter(environment="production").exists():
            assert AcceptanceRecord.objects.filter(agreement=self.agreement, status="confirmed").exists()
        assert not Credential.objects.filter(status="active", secret_hash="").exists()


def starts() -> dict[bool, Start]:
    """Default and special sharing, each with a complete draft, made by the verbs."""
    default, special = world(), special_world()
    facts = {"special_reason": "Không có dịch vụ mặc định.", "alternatives": [default.service.code]}
    return {
        False: Start(default, complete_draft(default).pk),
        True: Start(special, complete_draft(special, **facts).pk),
    }


@pytest.mark.django_db(transaction=True)
def test_cc_02_no_walk_leads_to_a_state_the_law_does_not_know():
    Walk.starts, Walk.ground = starts(), RefusalGround.objects.first()
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    walks = share(10_000, small=500)
    options = settings(
        max_examples=walks, stateful_step_count=50, deadline=None, suppress_health_check=checks, database=None,
        derandomize=False, print_blob=True,
    )  # fmt: skip
    run_state_machine_as_test(Walk, settings=options)
    assert ("approved", AgreementStatus.IN_FORCE) in Walk.reached, "the walks never got anywhere"
    print(f"CC-02: {walks:,} walks of 50 steps")
