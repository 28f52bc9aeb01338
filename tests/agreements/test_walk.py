"""CC-02: people of every role take steps at random; no order of them leads to a state the law does not know.

500 walks of 50 steps, 10,000 in the whole run. A step that is refused must change nothing; a step that is taken must
be one of `LAW`, by somebody it names, and leave exactly one audit event of its kind. `LAW` is written here by hand: it is
not the code's own table.

Walks begin at every age of a case, so that its last steps are taken as often as its first. What they begin from is
committed once, and each walk is a transaction that is rolled back. What the database holds is read again only after a
step that was taken: a refused one changed nothing, which one statement after it makes sure of.
"""

from __future__ import annotations

import copy
import datetime
import random
from collections import Counter, defaultdict
from typing import NamedTuple

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.agreements import actions as agreements
from apps.agreements.actions.life import expire_agreement
from apps.agreements.choices import AgreementStatus, GrantStatus, Side
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    ConsumerSuspension,
    Credential,
    Duty,
    Grant,
    Party,
    Suspension,
)
from apps.audit.models import AuditEvent
from apps.connections import actions as connections
from apps.connections.models import ConnectionRequest
from apps.core.errors import DomainError
from apps.legal.models import RefusalGround
from lgsp.dev.testing import share
from tests.factories.agreements import accepted, awaiting_signatures, special_world
from tests.factories.connections import World, complete_draft, considered, forwarded, returned, submitted, world

AGES = 11
PEOPLE = ("consumer_officer", "consumer_signer", "provider_officer", "provider_signer", "operator", "stranger", "clock")


def by(*lawful: str) -> tuple[str, ...]:
    """Anybody; those who may, three times as often."""
    return (*PEOPLE, *lawful, *lawful)


LIVE = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
CERTIFICATE = ("Biên bản xóa.pdf", b"%PDF-1.7\nxoa")

OFFICERS = ("consumer_officer", "provider_officer")
LAW = (
    ("draft returned", "checking", "request.submitted", ("consumer_officer",)),
    ("checking", "awaiting_provider", "request.forwarded", ("operator", "clock")),
    ("checking", "returned", "request.returned", ("operator", "clock")),
    ("awaiting_provider", "returned", "request.returned", ("operator", "clock", "provider_officer")),
    ("awaiting_provider", "approved", "request.approved", ("provider_officer",)),
    ("awaiting_provider", "refused", "request.refused", ("provider_officer",)),
    ("draft checking returned awaiting_provider", "withdrawn", "request.withdrawn", ("consumer_officer",)),
    ("returned", "withdrawn", "request.lapsed", ("clock",)),
    ("negotiating", "awaiting_signatures", "agreement.content_agreed", OFFICERS),
    ("awaiting_signatures", "negotiating", "agreement.reopened", OFFICERS),
    ("negotiating awaiting_signatures", "declined", "agreement.declined", OFFICERS),
    ("awaiting_signatures", "in_force", "agreement.in_force", ("consumer_signer", "provider_signer")),
    ("in_force", "suspended", "agreement.suspended", ("provider_officer", "operator", "clock")),
    ("suspended", "in_force", "agreement.resumed", ("provider_officer", "operator", "clock")),
    ("in_force suspended", "ending", "agreement.ending", (*OFFICERS, "operator", "clock")),
    ("ending", "terminated", "agreement.terminated", ("provider_officer", "operator", "clock")),
    ("in_force suspended", "expired", "agreement.expired", ("clock",)),
)
"""From where to where, the one event that says so, and by whom. The clock is played by the operator."""
MAY_FOLLOW = {(source, row[1], row[2]): row[3] for row in LAW for source in row[0].split()}

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
    """Where walks begin: people and agencies, and a request of some age; committed."""

    world: World
    request: int


def step(**facts: tuple):
    """A step of a walk: each of its arguments is one of those named."""

    def mark(method):
        method.choices = facts
        return method

    return mark


class Walk(RuleBasedStateMachine):
    """One request and whatever comes of it.

    What is done is thrown with dice of which the walk draws the seed: hypothesis on its own would leave whole kinds of steps
    out of most walks, and play four of five walks with one step changed. A failure prints the steps that were taken.
    """

    starts: tuple[Start, ...] = ()
    ground: RefusalGround
    reached: set = set()
    changed = False
    refused: dict[tuple, set] = defaultdict(set)
    taken: Counter = Counter()
    """Verb → in how many walks it was taken at least once."""

    @initialize(age=st.integers(0, AGES - 1), seed=st.integers(0, 2**64))
    def begin(self, age, seed):
        self.w, self.pk = self.starts[age]
        self.dice = random.Random(seed)
        self.point = transaction.atomic()
        self.point.__enter__()
        self.verbs: set = set()
        self.rows: dict = {}
        self.path: tuple = (age,)
        self.trace = self.look()
        self.changed = True

    def teardown(self):
        if hasattr(self, "point"):
            connection.check_constraints()  # the deferred ones too: no walk would be refused at its commit
            transaction.set_rollback(True)
            self.point.__exit__(None, None, None)
            self.taken.update(self.verbs | ({"late"} if self.verbs & LATE else set()))

    @rule()
    def next_step(self):
        method = self.dice.choice(STEPS)
        method(self, **{name: self.dice.choice(values) for name, values in method.choices.items()})

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

    def of_agreement(self, model, **which):
        """The newest row of `model` that belongs to the agreement."""
        rows = model.objects.filter(agreement__bases__request=self.pk, **which)
        return self.fresh((model, *which), rows.order_by("-pk"))

    def act(self, verb, obj, *, by, choice="", **facts):
        """Take a step; a refusal must leave everything as it was, a success must be lawful.

        Whom a step was refused after the steps that led here, in this walk or in another, is refused it again: nothing that
        is read is another. `choice` tells steps apart that differ by their facts.
        """
        hopeless = self.refused[self.path]
        step = verb.__name__, by, choice
        if obj is None or step in hopeless:
            return
        before = self.trace
        try:
            verb(obj, by=self.person(by), **facts)
        except DomainError:
            hopeless.add(step)
            assert self.look() == before
            return
        self.rows, self.path, self.trace, self.changed = {}, (*self.path, step), self.look(), True
        self.verbs.add(verb.__name__)
        note(f"{verb.__name__} by {by}: {before.statuses} -> {self.trace.statuses}")
        assert self.trace.last_event > before.last_event, "a step without an event"
        self.check_lawful(before, self.trace, by)

    def on_newest(self, verb, who):
        """`verb` on the newest content of the agreement, which the person has read."""
        if self.trace.agreement is not None:
            shown = self.fresh(
                "version", AgreementVersion.objects.filter(agreement__bases__request=self.pk).order_by("-number")
            )
            self.act(verb, self.agreement, by=who, content_hash=shown.content_hash)

    def check_lawful(self, before: Trace, after: Trace, who: str):
        events = AuditEvent.objects.filter(pk__gt=before.last_event).values_list("event", flat=True)
        happened = Counter(events) if before.statuses != after.statuses else Counter()
        for old, new in zip(before.statuses, after.statuses, strict=True):
            if old is not None and old != new:
                rows = [event for event in happened if (old, new, event) in MAY_FOLLOW]
                assert len(rows) == 1, (old, new, happened)
                assert happened[rows[0]] == 1, (old, new, happened)
                assert who in MAY_FOLLOW[old, new, rows[0]], (old, new, who)
        if before.agreement != after.agreement == "ending" and self.agreement.termination_ground == "consumer":
            assert who == "consumer_officer", "only the consumer says that it needs it no longer"
        if before.agreement is None and after.agreement is not None:
            assert after.statuses in {("approved", AgreementStatus.IN_FORCE), ("approved", AgreementStatus.NEGOTIATING)}
        if before.agreement != after.agreement and AgreementStatus.IN_FORCE in (before.agreement, after.agreement):
            assert after.epoch > before.epoch, "the gateway did not hear of it"

    # --- the request ----------------------------------------------------------------------------

    @step(who=by("consumer_officer"))
    def save(self, who):
        self.act(connections.save_draft, self.request, by=who, note=f"lần {len(self.verbs)}")

    @step(who=by("consumer_signer"))
    def sign(self, who):
        self.act(connections.sign_request, self.request, by=who)

    @step(who=by("consumer_officer"))
    def submit(self, who):
        self.act(connections.submit_request, self.request, by=who)

    @step()
    def right_step(self):
        """What should come next, by whoever should do it: without it few walks would get far."""
        state, agreement = self.trace.statuses
        if state in ("draft", "returned"):
            self.act(connections.sign_request, self.request, by="consumer_signer")
            self.act(connections.submit_request, self.request, by="consumer_officer")
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
            self.open_production_or_end_it()
        elif agreement == AgreementStatus.SUSPENDED:
            self.resume(who="provider_officer")
            self.resume(who="operator")
        elif agreement == AgreementStatus.ENDING:
            self.do_duty(who="consumer_officer", shown=True)
            self.do_duty(who="provider_officer", shown=True)
            self.finish(who="provider_officer")
        self.reached.add(self.trace.statuses)

    def open_production_or_end_it(self):
        if self.of_agreement(AcceptanceRecord, status="confirmed") is None:
            self.record(who="consumer_officer")
            self.confirm(who="provider_officer")
        else:
            self.terminate(who="consumer_officer", ground="consumer", reason="x")

    @step(who=by("operator"))
    def forward(self, who):
        self.act(connections.forward_request, self.request, by=who)

    @step(who=by("operator", "provider_officer"))
    def give_back(self, who):
        self.act(connections.return_request, self.request, by=who, remarks=[("note", "Thiếu")])

    @step(who=by("provider_officer"))
    def refuse(self, who):
        facts = {"ground": self.ground, "reason": "x", "citation": "y"}
        self.act(connections.refuse_request, self.request, by=who, **facts)

    @step(who=("stranger", "provider_officer", "operator", "consumer_officer"), really=(True, False))
    def withdraw(self, who, really):
        if really or who != "consumer_officer":
            self.act(connections.withdraw_request, self.request, by=who)

    @step()
    def lapse(self):
        self.act(connections.lapse_request, self.request, by="clock")

    @step(who=by("provider_officer"))
    def approve(self, who):
        self.act(agreements.approve_request, self.request, by=who)

    # --- the agreement --------------------------------------------------------------------------

    @step(who=by(*OFFICERS))
    def propose(self, who):
        self.act(agreements.propose_content, self.agreement, by=who, changes={"other_terms": "x"}, note="y")

    @step(who=by(*OFFICERS))
    def agree(self, who):
        self.on_newest(agreements.agree_content, who)

    @step(who=by("consumer_signer", "provider_signer"))
    def sign_agreement(self, who):
        self.on_newest(agreements.sign_agreement, who)

    @step(who=by(*OFFICERS))
    def reopen(self, who):
        self.act(agreements.reopen_agreement, self.agreement, by=who, reason="x")

    @step(who=by(*OFFICERS), reason=("x", " "))
    def decline(self, who, reason):
        self.act(agreements.decline_agreement, self.agreement, by=who, reason=reason, choice=reason)

    @step(who=by("provider_officer", "operator"), kind=("violation", "force_majeure", "planned"), plan=("y", " "))
    def suspend(self, who, kind, plan):
        facts = {"kind": kind, "violation": "x", "plan": plan, "restore_conditions": "z"}
        self.act(agreements.suspend_agreement, self.agreement, by=who, choice=kind + plan, **facts)

    @step(who=by("provider_officer", "operator"))
    def resume(self, who):
        self.act(agreements.resume_agreement, self.agreement, by=who)

    @step(who=by(*OFFICERS, "operator"), ground=("authority", "consumer", "whim"), reason=("x", " "))
    def terminate(self, who, ground, reason):
        facts = {"ground": ground, "reason": reason}
        self.act(agreements.terminate_agreement, self.agreement, by=who, choice=ground + reason, **facts)

    @step(who=by(*OFFICERS), shown=(True, False))
    def do_duty(self, who, shown):
        for kind in ("data_deleted", "configuration_removed", "final_statistics"):
            duty = self.of_agreement(Duty, kind=kind)
            self.act(
                agreements.complete_duty, duty, by=who, choice=f"{kind}{shown}", note="x", file=CERTIFICATE if shown else None
            )

    @step(who=by("provider_officer", "operator"))
    def finish(self, who):
        self.act(agreements.finish_termination, self.agreement, by=who)

    @step()
    def expire(self):
        self.act(expire_agreement, self.agreement, by="clock")

    # --- access ---------------------------------------------------------------------------------

    @step(who=by("consumer_officer"))
    def record(self, who):
        facts = {"system": self.w.system, "tested_on": timezone.localdate(), "summary": "x"}
        self.act(agreements.record_acceptance, self.agreement, by=who, **facts)

    @step(who=by("provider_officer", "operator"))
    def confirm(self, who):
        self.act(agreements.confirm_acceptance, self.of_agreement(AcceptanceRecord), by=who)

    @step(who=by("provider_officer", "operator"))
    def suspend_grant(self, who):
        self.act(agreements.suspend_grant, self.of_agreement(Grant), by=who, reason="x")

    @step(who=by("provider_officer", "operator"))
    def resume_grant(self, who):
        self.act(agreements.resume_grant, self.of_agreement(Grant), by=who)

    @step(who=by("provider_officer", "operator"))
    def suspend_consumer(self, who):
        facts = {"violation": "x", "plan": "y", "restore_conditions": "z"}
        self.act(agreements.suspend_consumer, self.of_agreement(Party, side=Side.CONSUMER), by=who, **facts)

    @step(who=by("provider_officer", "operator"))
    def lift(self, who):
        self.act(agreements.lift_consumer_suspension, self.of_agreement(ConsumerSuspension), by=who)

    def newest_account(self):
        return self.fresh("account", Credential.objects.filter(system=self.w.system).order_by("-pk"))

    @step(who=by("consumer_officer"))
    def claim(self, who):
        self.act(agreements.claim_credential, self.newest_account(), by=who)

    # --- what must hold, always -----------------------------------------------------------------

    @invariant()
    def all_of_it(self):
        """Looked at after every step that was taken; a refused one changed nothing (`act` made sure)."""
        if self.changed:
            self.changed = False
            self.clocks_run_only_while_somebody_is_awaited()
            if self.trace.request == "approved":
                self.approved_means_by_every_provider_and_by_nobody_of_the_requesting_side()
                self.in_force_means_signed_by_every_party_and_not_by_the_drafter()
                self.access_needs_an_agreement_that_lives_and_production_a_confirmed_test()
                self.a_stopped_consumer_has_no_access()
                self.suspended_means_said_why()
                self.a_suspended_access_is_somebodys()
                self.what_one_side_suspended_another_does_not_lift()
                self.an_end_has_its_ground_and_its_duties()

    def clocks_run_only_while_somebody_is_awaited(self):
        request = self.request
        assert (request.lapses_at is not None) == (request.status == "returned")
        assert request.due_at is not None or request.status in ("draft", "withdrawn")

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

    def a_stopped_consumer_has_no_access(self):
        stopped = ConsumerSuspension.objects.filter(agreement__bases__request=self.pk, lifted_at__isnull=True)
        if stopped.exists():
            assert not Grant.objects.filter(agreement__bases__request=self.pk, status=GrantStatus.ACTIVE).exists()

    def suspended_means_said_why(self):
        agreement = self.agreement
        said = agreement.suspension_kind, agreement.suspended_at, agreement.violation.strip(), agreement.handling_plan.strip()
        if agreement.status == AgreementStatus.SUSPENDED:
            assert all(said)
            assert agreement.suspension_kind != "planned", "nobody gave notice"
            assert agreement.violation == agreement.standing_suspensions()[0].reason
        elif agreement.status == AgreementStatus.IN_FORCE:
            assert not any(said)
            assert not agreement.standing_suspensions(), "it is open while somebody's suspension stands"

    def a_suspended_access_is_somebodys(self):
        for grant in Grant.objects.filter(agreement__bases__request=self.pk).exclude(status=GrantStatus.ENDED):
            alone = grant.status == GrantStatus.SUSPENDED and grant.held_by_id is None
            assert alone == bool(grant.standing_suspensions()) or grant.held_by_id is not None

    def what_one_side_suspended_another_does_not_lift(self):
        rows = Suspension.objects.filter(agreement__bases__request=self.pk).exclude(lifted_at=None)
        for row in rows.select_related("lifted_by"):
            assert row.lifted_by == self.w.operator or (row.provider_id and row.lifted_by == self.w.provider_officer)

    def an_end_has_its_ground_and_its_duties(self):
        agreement = self.agreement
        ended = agreement.status in ("ending", "terminated", "expired")
        assert (agreement.ended_at is not None) == (ended or agreement.status == "declined")
        if agreement.status == "declined":
            assert agreement.status_reason.strip()
        if agreement.status in ("ending", "terminated"):
            assert agreement.termination_ground in ("authority", "consumer")
            assert agreement.status_reason.strip()
            self.duties_of_the_decree(agreement)

    def duties_of_the_decree(self, agreement):
        duties = {duty.kind: duty for duty in agreement.duties.select_related("party", "certificate")}
        assert set(duties) == {"data_deleted", "configuration_removed", "final_statistics"}
        assert agreement.status == "ending" or all(duty.done_at for duty in duties.values())
        for kind, duty in duties.items():
            assert duty.party.side == ("provider" if kind == "final_statistics" else "consumer")
            by = self.w.provider_officer if kind == "final_statistics" else self.w.consumer_officer
            assert duty.done_by in (None, by)
        deleted = duties["data_deleted"]
        assert deleted.done_at is None or deleted.certificate.sha256


_ALL = [method for method in vars(Walk).values() if hasattr(method, "choices")]
STEPS = [*_ALL, Walk.withdraw, Walk.suspend, Walk.resume, Walk.terminate, Walk.do_duty, Walk.finish, Walk.lift]
"""The last steps of a case twice: only some cases come to them."""


def starts() -> tuple[Start, ...]:
    """A case at every age, in default and in special sharing, made by the verbs; two were left alone for too long."""
    special = {"special_reason": "Không có dịch vụ mặc định."}
    over = {"wanted_to": timezone.localdate() - datetime.timedelta(days=10)}
    return (
        begin(world, complete_draft),
        begin(special_world, considered_draft, **special),
        begin(world, submitted),
        begin(world, forwarded),
        begin(special_world, awaiting_signatures, **special),
        begin(world, accepted),
        begin(world, accepted),
        begin(world, suspended),
        begin(world, ending),
        begin(world, returned, days_ago=30),
        begin(world, accepted, days_ago=30, **over),
    )


def considered_draft(w: World, **content) -> ConnectionRequest:
    return considered(complete_draft(w, **content), w)


def suspended(w: World) -> Agreement:
    facts = {"kind": "violation", "violation": "x", "plan": "y", "restore_conditions": "z"}
    return agreements.suspend_agreement(accepted(w), by=w.operator, **facts)


def ending(w: World) -> Agreement:
    return agreements.terminate_agreement(accepted(w), by=w.operator, ground="authority", reason="x")


def begin(make_world, state, *, days_ago: int = 0, **content) -> Start:
    with time_machine.travel(timezone.now() - datetime.timedelta(days=days_ago)):
        w = make_world()
        made = state(w, **content)
    return Start(w, made.pk if isinstance(made, ConnectionRequest) else made.bases.get().request_id)


LATE = {
    "withdraw_request", "suspend_agreement", "resume_agreement", "terminate_agreement", "complete_duty", "finish_termination",
    "suspend_consumer", "lift_consumer_suspension", "expire_agreement", "lapse_request",
}  # fmt: skip


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
    assert Walk.taken["late"] >= walks * 2 // 5, "about every second walk comes to the last steps of a case"
    assert {name for name in LATE if Walk.taken[name]} == LATE
    print(f"CC-02: {walks:,} walks of 50 steps; taken in so many walks: {dict(Walk.taken.most_common())}")
