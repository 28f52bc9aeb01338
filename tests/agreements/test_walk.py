"""CC-02: people of every role take steps at random; no order of them leads to a state the law does not know.

500 walks of 50 steps, 10,000 in the whole run. A step that is refused must change nothing; a step that is taken must
be one of `LAW`, by somebody it names, and leave exactly one audit event of its kind. `LAW` is written here by hand: it is
not the code's own table. Every statement of a step locks rows in the order of `apps.agreements.locks` (`locking`).

A walk has one request and the agreement that comes of it, with changes, renewals and a second consumer that joins; the first
consumer may be merged into another agency on the way, and its people go on from there.

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
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.agreements import actions as agreements
from apps.agreements.actions.life import expire_agreement
from apps.agreements.actions.suspension import begin_suspension, finish_suspension
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
    PlannedSuspension,
    StepClock,
    Suspension,
)
from apps.audit.models import AuditEvent
from apps.connections import actions as connections
from apps.connections.models import ConnectionRequest
from apps.core.errors import DomainError
from apps.legal.models import RefusalGround
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment
from lgsp.dev.testing import is_full, share
from tests.agreements.locking import LockOrder
from tests.factories.agreements import accepted, awaiting_signatures, negotiating, recorded, signed_special, special_world
from tests.factories.connections import World, complete_draft, considered, forwarded, returned, submitted, world
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer

AGES = 16
PEOPLE = ("consumer_officer", "consumer_signer", "provider_officer", "provider_signer", "operator", "stranger", "clock")


def by(*lawful: str) -> tuple[str, ...]:
    """Anybody; those who may, three times as often."""
    return (*PEOPLE, *lawful, *lawful)


LIVE = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
UNFINISHED = (AgreementStatus.NEGOTIATING, AgreementStatus.AWAITING_SIGNATURES, AgreementStatus.ENDING)
OPEN = ("draft", "returned", "checking", "awaiting_provider")
EITHER, SELDOM = (False, True), (True, False, False, False)
CERTIFICATE = ("Biên bản xóa.pdf", b"%PDF-1.7\nxoa")

CONSUMERS = ("consumer_officer", "joiner_officer")
OFFICERS = (*CONSUMERS, "provider_officer")
SIGNERS = ("consumer_signer", "provider_signer", "joiner_signer")
LAW = (
    ("draft returned", "checking", "request.submitted", CONSUMERS),
    ("checking", "awaiting_provider", "request.forwarded", ("operator", "clock")),
    ("checking", "returned", "request.returned", ("operator", "clock")),
    ("awaiting_provider", "returned", "request.returned", ("operator", "clock", "provider_officer")),
    ("awaiting_provider", "approved", "request.approved", ("provider_officer",)),
    ("awaiting_provider", "refused", "request.refused", ("provider_officer",)),
    ("draft checking returned awaiting_provider", "withdrawn", "request.withdrawn", CONSUMERS),
    ("returned", "withdrawn", "request.lapsed", ("clock",)),
    ("draft checking returned awaiting_provider", "withdrawn", "request.fallen", ("clock",)),
    ("draft", "withdrawn", "request.orphaned", ("operator", "clock")),
    ("negotiating", "awaiting_signatures", "agreement.content_agreed", OFFICERS),
    ("awaiting_signatures", "negotiating", "agreement.reopened", OFFICERS),
    ("negotiating awaiting_signatures", "declined", "agreement.declined", OFFICERS),
    ("awaiting_signatures", "in_force", "agreement.in_force", SIGNERS),
    ("in_force", "suspended", "agreement.suspended", ("provider_officer", "operator", "clock")),
    ("suspended", "in_force", "agreement.resumed", ("provider_officer", "operator", "clock")),
    ("in_force suspended", "ending", "agreement.ending", (*OFFICERS, "operator", "clock")),
    ("ending", "terminated", "agreement.terminated", ("provider_officer", "operator", "clock")),
    ("in_force suspended", "expired", "agreement.expired", ("clock",)),
)
"""From where to where, the one event that says so, and by whom. The clock is played by the operator."""
MAY_FOLLOW = {(source, row[1], row[2]): row[3] for row in LAW for source in row[0].split()}

_TRACE = """
SELECT r.status, r.version, a.status, a.version, c.id, c.status, c.version,
    (SELECT max(id) FROM audit_auditevent), (SELECT epoch FROM core_policyepoch)
FROM connections_connectionrequest r
LEFT JOIN agreements_requestbasis b ON b.request_id = r.id LEFT JOIN agreements_agreement a ON a.id = b.agreement_id
LEFT JOIN LATERAL (
    SELECT later.* FROM agreements_requestbasis o JOIN connections_connectionrequest later ON later.id = o.request_id
    WHERE o.agreement_id = a.id AND later.id <> r.id ORDER BY later.id DESC LIMIT 1
) c ON true
WHERE r.id = %s
"""


class Trace(NamedTuple):
    """What no refusal may touch, and every step that is taken must: each verb records an event."""

    request: str
    request_version: int
    agreement: str | None
    agreement_version: int | None
    amendment_id: int | None
    """The newest request for a change, a renewal or joining."""
    amendment: str | None
    amendment_version: int | None
    last_event: int
    epoch: int

    @property
    def statuses(self) -> tuple[str, str | None, str | None]:
        return self.request, self.agreement, self.amendment


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
        self.alone: set = set()
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
    def amendment(self):
        if self.trace.amendment_id is None:
            return None
        return self.fresh("amendment", ConnectionRequest.objects.filter(pk=self.trace.amendment_id))

    def case(self, amendment: bool):
        """The first request, or the newest that amends what came of it."""
        return self.amendment if amendment else self.request

    @property
    def agreement(self):
        if self.trace.agreement is None:
            return None
        return self.fresh("agreement", Agreement.objects.filter(bases__request=self.pk))

    def of_agreement(self, model, **which):
        """The newest row of `model` that belongs to the agreement."""
        rows = model.objects.filter(agreement__bases__request=self.pk, **which)
        return self.fresh((model, *which.values()), rows.order_by("-pk"))

    def act(self, verb, obj, *, by, choice="", silent=False, **facts):
        """Take a step; a refusal must leave everything as it was, a success must be lawful.

        Whom a step was refused after the steps that led here, in this walk or in another, is refused it again: nothing that
        is read is another. `choice` tells steps apart that differ by their facts.
        """
        hopeless = self.refused[self.path]
        step = verb.__name__, by, choice
        if obj is None or step in hopeless:
            return False
        before = self.trace
        try:
            with LockOrder(verb.__name__):
                verb(obj, by=self.person(by), **facts)
        except DomainError:
            hopeless.add(step)
            assert self.look() == before
            return False
        self.rows, self.path, self.trace, self.changed = {}, (*self.path, step), self.look(), True
        self.verbs.add(verb.__name__)
        note(f"{verb.__name__} by {by}: {before.statuses} -> {self.trace.statuses}")
        assert silent or self.trace.last_event > before.last_event, "a step without an event"
        self.check_lawful(before, self.trace, by)
        return True

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
        for number, (old, new) in enumerate(zip(before.statuses, after.statuses, strict=True)):
            if number == 2 and before.amendment_id != after.amendment_id:
                assert new == "draft"
            elif old is not None and old != new:
                rows = [event for event in happened if (old, new, event) in MAY_FOLLOW]
                assert len(rows) == 1, (old, new, happened)
                assert happened[rows[0]] == 1, (old, new, happened)
                assert who in MAY_FOLLOW[old, new, rows[0]], (old, new, who)
        if before.agreement != after.agreement == "ending" and self.agreement.termination_ground == "consumer":
            assert who in CONSUMERS, "only the consumer says that it needs it no longer"
        if before.agreement is None and after.agreement is not None:
            assert after.statuses[:2] in {("approved", AgreementStatus.IN_FORCE), ("approved", AgreementStatus.NEGOTIATING)}
        if before.agreement != after.agreement and AgreementStatus.IN_FORCE in (before.agreement, after.agreement):
            assert after.epoch > before.epoch, "the gateway did not hear of it"

    # --- the request ----------------------------------------------------------------------------

    @step(who=by(*CONSUMERS), later=EITHER)
    def save(self, who, later):
        self.act(connections.save_draft, self.case(later), by=who, choice=later, note=f"lần {len(self.verbs)}")

    @step(who=by("consumer_signer", "joiner_signer"), later=EITHER)
    def sign(self, who, later):
        self.act(connections.sign_request, self.case(later), by=who, choice=later)

    @step(who=by(*CONSUMERS), later=EITHER)
    def submit(self, who, later):
        self.act(connections.submit_request, self.case(later), by=who, choice=later)

    @step()
    def right_step(self):
        """What should come next, by whoever should do it: without it few walks would get far."""
        state, agreement, _amendment = self.trace.statuses
        if state in OPEN:
            self.right_step_of(later=False)
        elif agreement == AgreementStatus.IN_FORCE and self.dice.random() < 0.6:
            self.amend()
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
            for who in OFFICERS:
                self.do_duty(who=who, shown=True)
            self.finish(who="provider_officer")
        self.reached.add(self.trace.statuses[:2])

    def right_step_of(self, later: bool):
        case = self.case(later)
        joins = case.kind == "join"
        if case.status in ("draft", "returned"):
            officer, signer = ("joiner_officer", "joiner_signer") if joins else ("consumer_officer", "consumer_signer")
            if joins and not case.request_systems.exists():
                facts = {"systems": [self.w.joiner_system], "technician": "Lê Văn Nối"}
                self.act(connections.save_draft, case, by=officer, choice="systems", **facts)
            self.sign(who=signer, later=later)
            self.submit(who=officer, later=later)
        elif case.status == "checking":
            self.forward(who="operator", later=later)
        elif case.status == "awaiting_provider":
            self.approve(who="provider_officer", later=later)

    def amend(self):
        """What comes next for the change that is under way; another begins when none is."""
        if self.trace.amendment in OPEN:
            self.right_step_of(later=True)
        elif self.agreement.versions.filter(state="draft").exists():
            for signer in SIGNERS:
                self.sign_agreement(who=signer)
        else:
            self.begin_amendment(who=self.dice.choice(CONSUMERS), kind=self.dice.choice(("change", "renewal", "join")))

    def open_production_or_end_it(self):
        tested = set(self.agreement.acceptances.filter(status="confirmed").values_list("system", flat=True))
        for who, system in (("consumer_officer", self.w.system), ("joiner_officer", self.w.joiner_system)):
            grants = self.agreement.grants.filter(system=system).exclude(status=GrantStatus.ENDED)
            if system.pk not in tested and grants.exists():
                self.record(who=who, second=system == self.w.joiner_system)
                self.confirm(who="provider_officer")
                return
        if self.dice.random() < 0.2:
            self.terminate(who="consumer_officer", ground="consumer", reason="x")

    @step(who=by("operator"), later=EITHER)
    def forward(self, who, later):
        self.act(connections.forward_request, self.case(later), by=who, choice=later)

    @step(who=by("operator", "provider_officer"), later=EITHER)
    def give_back(self, who, later):
        self.act(connections.return_request, self.case(later), by=who, choice=later, remarks=[("note", "Thiếu")])

    @step(who=by("provider_officer"), later=EITHER)
    def refuse(self, who, later):
        facts = {"ground": self.ground, "reason": "x", "citation": "y"}
        self.act(connections.refuse_request, self.case(later), by=who, choice=later, **facts)

    @step(who=("stranger", "provider_officer", "operator", *CONSUMERS), really=(True, False), later=EITHER)
    def withdraw(self, who, really, later):
        if really or who not in CONSUMERS:
            self.act(connections.withdraw_request, self.case(later), by=who, choice=later)

    @step(later=EITHER)
    def lapse(self, later):
        self.act(connections.lapse_request, self.case(later), by="clock", choice=later)

    @step(later=EITHER)
    def fall(self, later):
        """With its agreement, when that is over and not before."""
        over = self.trace.agreement in ("ending", "terminated", "expired")
        if self.act(agreements.drop_amendment, self.case(later), by="clock", choice=later):
            assert later
            assert over

    @step(who=by("provider_officer"), later=EITHER)
    def approve(self, who, later):
        self.act(agreements.approve_request, self.case(later), by=who, choice=later)

    @step(who=by(*CONSUMERS), kind=("change", "renewal", "join"))
    def begin_amendment(self, who, kind):
        """One at a time: two of them at once are raced (`test_race_pairs`)."""
        if self.trace.amendment in OPEN or self.agreement is None:
            return
        if kind == "join":
            self.act(agreements.start_join, self.agreement, by=who, consumer=self.w.joiner)
        else:
            verb = agreements.start_change if kind == "change" else agreements.start_renewal
            self.act(verb, self.agreement, by=who)

    # --- the agreement --------------------------------------------------------------------------

    @step(who=by(*OFFICERS), terms=("x", "y"))
    def propose(self, who, terms):
        self.act(agreements.propose_content, self.agreement, by=who, choice=terms, changes={"other_terms": terms}, note="y")

    @step(who=by(*OFFICERS))
    def agree(self, who):
        self.on_newest(agreements.agree_content, who)

    @step(who=by(*SIGNERS))
    def sign_agreement(self, who):
        self.on_newest(agreements.sign_agreement, who)

    @step(who=by(*OFFICERS))
    def reopen(self, who):
        self.act(agreements.reopen_agreement, self.agreement, by=who, reason="x")

    @step(who=by(*OFFICERS), reason=("x", " "))
    def decline(self, who, reason):
        self.act(agreements.decline_agreement, self.agreement, by=who, reason=reason, choice=reason)

    @step(who=by(*OFFICERS), really=SELDOM)
    def decline_change(self, who, really):
        if really:
            self.act(agreements.decline_change, self.agreement, by=who, reason="x")

    @step(who=by("operator"), really=SELDOM)
    def merge(self, who, really):
        """The consumer is merged into its heir, whose people go on for it."""
        if really and self.w.consumer != self.w.heir and self.trace.agreement in (*UNFINISHED, *LIVE):
            facts = {"into": self.w.heir, "instrument": "Nghị quyết 202/2025/QH15"}
            if self.act(agreements.merge_organizations, self.w.consumer, by=who, **facts):
                self.w = copy.copy(self.w)
                self.w.consumer, self.w.system = self.w.heir, InformationSystem.objects.get(pk=self.w.system.pk)
                self.w.consumer_officer, self.w.consumer_signer = self.w.heir_officer, self.w.heir_signer

    @step(who=by("provider_officer", "operator"))
    def announce(self, who):
        soon = timezone.now() + datetime.timedelta(days=30)
        facts = {"starts_at": soon, "ends_at": soon + datetime.timedelta(days=1), "reason": "x"}
        self.act(agreements.announce_suspension, self.agreement, by=who, **facts)

    @step(who=by("provider_officer", "operator"), really=SELDOM)
    def call_off(self, who, really):
        if really:
            self.act(agreements.cancel_suspension, self.of_agreement(PlannedSuspension), by=who)

    @step()
    def begin_planned(self):
        """The announced beginning has come. Who finds the agreement ended or suspended has nothing to say."""
        planned = self.of_agreement(PlannedSuspension)
        if planned is not None and planned.cancelled_at is planned.ended_at is planned.started_at is None:
            PlannedSuspension.objects.filter(pk=planned.pk).update(starts_at=timezone.now() - datetime.timedelta(hours=1))
            self.act(begin_suspension, planned, by="clock", silent=True)

    @step()
    def finish_planned(self):
        planned = self.of_agreement(PlannedSuspension)
        if planned is not None and planned.started_at and planned.cancelled_at is planned.ended_at is None:
            past = timezone.now() - datetime.timedelta(minutes=1)
            PlannedSuspension.objects.filter(pk=planned.pk).update(starts_at=past - datetime.timedelta(hours=1), ends_at=past)
            self.act(finish_suspension, planned, by="clock", silent=True)

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
        for duty in Duty.objects.filter(agreement__bases__request=self.pk).order_by("pk"):
            facts = {"note": "x", "file": CERTIFICATE if shown else None}
            self.act(agreements.complete_duty, duty, by=who, choice=f"{duty.kind}{duty.party_id}{shown}", **facts)

    @step(who=by("provider_officer", "operator"))
    def finish(self, who):
        self.act(agreements.finish_termination, self.agreement, by=who)

    @step()
    def expire(self):
        self.act(expire_agreement, self.agreement, by="clock")

    # --- access ---------------------------------------------------------------------------------

    @step(who=by(*CONSUMERS), second=EITHER)
    def record(self, who, second):
        facts = {"tested_on": timezone.localdate(), "summary": "x"}
        system = self.w.joiner_system if second else self.w.system
        self.act(agreements.record_acceptance, self.agreement, by=who, choice=second, system=system, **facts)

    @step(who=by(*CONSUMERS), second=EITHER)
    def extend(self, who, second):
        """The time to test a system: by its own agency, while the agreement is in force."""
        system = self.w.joiner_system if second else self.w.system
        if self.act(agreements.extend_test, self.agreement, by=who, choice=second, system=system, reason="x"):
            assert who == CONSUMERS[second]
            assert self.trace.agreement == AgreementStatus.IN_FORCE

    @step(who=by("provider_officer", "operator"))
    def confirm(self, who):
        self.act(agreements.confirm_acceptance, self.of_agreement(AcceptanceRecord), by=who)

    @step(who=by("provider_officer", "operator"), which=(0, 1, 2))
    def suspend_grant(self, who, which):
        grant = self.one_grant(which)
        if self.act(agreements.suspend_grant, grant, by=who, choice=which, reason="x"):
            self.alone.add((grant.system_id, grant.environment))

    @step(who=by("provider_officer", "operator"), which=(0, 1, 2))
    def resume_grant(self, who, which):
        grant = self.one_grant(which)
        if self.act(agreements.resume_grant, grant, by=who, choice=which):
            self.alone.discard((grant.system_id, grant.environment))

    @step(who=by("provider_officer", "operator"), which=(0, 1, 2), really=SELDOM)
    def end_grant(self, who, which, really):
        grant = self.one_grant(which)
        if really and self.act(agreements.end_grant, grant, by=who, choice=which, reason="x"):
            self.alone.discard((grant.system_id, grant.environment))

    def one_grant(self, which: int):
        """One of those that have not ended, the newest first."""
        rows = Grant.objects.filter(agreement__bases__request=self.pk).exclude(status=GrantStatus.ENDED).order_by("-pk")
        return self.fresh(("grant", which), rows[which : which + 1])

    @step(who=by("provider_officer", "operator"), second=EITHER)
    def suspend_consumer(self, who, second):
        facts = {"violation": "x", "plan": "y", "restore_conditions": "z"}
        whose = self.w.joiner if second else self.w.consumer
        party = self.of_agreement(Party, side=Side.CONSUMER, organization=whose)
        self.act(agreements.suspend_consumer, party, by=who, choice=second, **facts)

    @step(who=by("provider_officer", "operator"))
    def lift(self, who):
        self.act(agreements.lift_consumer_suspension, self.of_agreement(ConsumerSuspension, lifted_at=None), by=who)

    def newest_account(self):
        return self.fresh("account", Credential.objects.filter(system=self.w.system).order_by("-pk"))

    @step(who=by("consumer_officer"))
    def claim(self, who):
        self.act(agreements.claim_credential, self.newest_account(), by=who)

    @step(who=by("consumer_officer"))
    def rotate(self, who):
        self.act(agreements.rotate_credential, self.newest_account(), by=who)

    @step(who=by("consumer_officer", "provider_officer", "operator"), really=SELDOM)
    def revoke(self, who, really):
        if really:
            self.act(agreements.revoke_credential, self.newest_account(), by=who, reason="x")

    @step(who=by("provider_officer", "operator"))
    def reissue(self, who):
        if self.agreement is not None:
            self.act(agreements.reissue_credential, self.w.system, by=who, environment="test")

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
                self.a_test_is_extended_once()
                self.an_end_has_its_ground_and_its_duties()

    def clocks_run_only_while_somebody_is_awaited(self):
        for request in filter(None, (self.request, self.amendment)):
            assert (request.lapses_at is not None) == (request.status == "returned")
            assert request.due_at is not None or request.status in ("draft", "withdrawn")

    def approved_means_by_every_provider_and_by_nobody_of_the_requesting_side(self):
        for request in filter(None, (self.request, self.amendment)):
            parts = list(request.decisions.all())
            assert request.status != "approved" or parts
            for part in parts if request.status == "approved" else ():
                assert part.status == "approved"
                assert part.decided_by == self.w.provider_officer

    def in_force_means_signed_by_every_party_and_not_by_the_drafter(self):
        """Of everybody whom the content in force names, by different hands; nobody else has access."""
        agreement = self.agreement
        if agreement.status not in LIVE:
            return
        version = agreement.versions.get(state="current")
        named = {row["code"] for row in (*version.content["consumers"], *version.content["providers"])}
        hands = list(version.signatures.values_list("party__organization__code", "signer"))
        assert {code for code, _signer in hands} == named
        assert len({signer for _code, signer in hands}) == len(hands) == len(named)
        assert version.drafted_by_id not in {signer for _code, signer in hands}
        opened = agreement.grants.exclude(status=GrantStatus.ENDED).values_list("system__organization__code", flat=True)
        assert set(opened) <= named

    def access_needs_an_agreement_that_lives_and_production_a_confirmed_test(self):
        grants = Grant.objects.filter(agreement__bases__request=self.pk).exclude(status=GrantStatus.ENDED)
        rows = list(grants.values_list("system_id", "environment", "operation_id", "status"))
        assert not rows or self.trace.agreement in LIVE
        assert len({row[:3] for row in rows}) == len(rows), "two accesses in effect for one"
        production = {system for system, environment, _operation, _status in rows if environment == Environment.PRODUCTION}
        if production:
            tested = AcceptanceRecord.objects.filter(agreement=self.agreement, status="confirmed")
            assert production <= set(tested.values_list("system_id", flat=True))
        active = {row[:2] for row in rows if row[3] == GrantStatus.ACTIVE}
        assert not active & self.alone, "what was stopped alone is open, and nobody resumed it"
        assert not Credential.objects.filter(status="active", secret_hash="").exists()

    def a_stopped_consumer_has_no_access(self):
        stopped = ConsumerSuspension.objects.filter(agreement__bases__request=self.pk, lifted_at__isnull=True)
        for organization in stopped.values_list("party__organization", flat=True):
            held = Grant.objects.filter(agreement__bases__request=self.pk, system__organization=organization)
            assert not held.filter(status=GrantStatus.ACTIVE).exists()

    def suspended_means_said_why(self):
        agreement = self.agreement
        planned = agreement.suspension_kind == "planned"
        said = agreement.suspension_kind, agreement.suspended_at, agreement.violation.strip(), agreement.handling_plan.strip()
        if agreement.status == AgreementStatus.SUSPENDED:
            assert all(said) or (planned and said[0] and said[1] and said[3])
            if planned:
                assert PlannedSuspension.objects.open().filter(agreement=agreement, started_at__isnull=False).exists()
            else:
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

    def a_test_is_extended_once(self):
        rows = StepClock.objects.filter(agreement__bases__request=self.pk).exclude(extended_at=None)
        refs = [str(uuid) for uuid in rows.values_list("uuid", flat=True)]
        told = AuditEvent.objects.filter(event="step.extended", object_ref__in=refs).values_list("object_ref", flat=True)
        assert sorted(told) == sorted(refs)

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
        """Each consumer deletes and takes away, each provider counts; done by an officer of whom the duty is."""
        duties = list(agreement.duties.select_related("party__organization", "certificate"))
        owed = {"consumer": {"data_deleted", "configuration_removed"}, "provider": {"final_statistics"}}
        for party in {duty.party for duty in duties}:
            assert {duty.kind for duty in duties if duty.party == party} == owed[party.side]
        bound = {self.w.provider, self.w.consumer} | ({self.w.joiner} & {duty.party.organization for duty in duties})
        assert {duty.party.organization for duty in duties} == bound
        officers = {self.w.provider: "provider_officer", self.w.consumer: "consumer_officer", self.w.joiner: "joiner_officer"}
        for duty in duties:
            assert duty.done_at or agreement.status == "ending"
            assert duty.done_by in (None, getattr(self.w, officers[duty.party.organization]))
            assert duty.kind != "data_deleted" or duty.done_at is None or duty.certificate.sha256


_ALL = [method for method in vars(Walk).values() if hasattr(method, "choices")]
_LAST = [Walk.withdraw, Walk.suspend, Walk.resume, Walk.terminate, Walk.do_duty, Walk.finish]
_SELDOM = [
    Walk.lapse,
    Walk.fall,
    Walk.expire,
    Walk.lift,
    Walk.propose,
    Walk.resume_grant,
    Walk.begin_planned,
    Walk.finish_planned,
]
STEPS = [*_ALL, Walk.right_step, Walk.right_step, *_LAST, *_SELDOM, *_SELDOM]
"""The right step more often than others, and the last steps of a case twice: only some cases come to them."""


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
        begin(special_world, negotiating, **special),
        begin(special_world, in_production, **special),
        begin(world, accepted_and(agreements.start_change)),
        begin(world, accepted_and(agreements.start_renewal)),
        begin(special_world, changing, **special),
    )


def considered_draft(w: World, **content) -> ConnectionRequest:
    return considered(complete_draft(w, **content), w)


def in_production(w: World, **content) -> Agreement:
    agreement = signed_special(w, **content)
    agreements.confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    return agreement


def changing(w: World, **content) -> Agreement:
    """A change of it is approved and awaits signatures."""
    agreement = in_production(w, **content)
    request = agreements.start_change(agreement, by=w.consumer_officer)
    connections.save_draft(request, by=w.consumer_officer, calls_per_day=5_000)
    connections.sign_request(request, by=w.consumer_signer)
    connections.submit_request(request, by=w.consumer_officer)
    connections.forward_request(request, by=w.operator)
    agreements.approve_request(request, by=w.provider_officer)
    assert agreement.versions.filter(state="draft").exists()
    return agreement


def accepted_and(start):
    def state(w: World) -> Agreement:
        agreement = accepted(w)
        request = start(agreement, by=w.consumer_officer)
        connections.sign_request(request, by=w.consumer_signer)
        connections.submit_request(request, by=w.consumer_officer)
        return agreement

    return state


def suspended(w: World) -> Agreement:
    facts = {"kind": "violation", "violation": "x", "plan": "y", "restore_conditions": "z"}
    return agreements.suspend_agreement(accepted(w), by=w.operator, **facts)


def ending(w: World) -> Agreement:
    return agreements.terminate_agreement(accepted(w), by=w.operator, ground="authority", reason="x")


def with_others(w: World) -> World:
    """Who may join, and who the consumer may be merged into."""
    w.joiner, w.heir = ReadyOrganizationFactory(), ReadyOrganizationFactory()
    w.joiner_system = InformationSystemFactory(organization=w.joiner)
    for name, agency in (("joiner", w.joiner), ("heir", w.heir)):
        setattr(w, f"{name}_officer", officer(Role.CONSUMER_OFFICER, agency))
        setattr(w, f"{name}_signer", officer(Role.SIGNER, agency))
    return w


def begin(make_world, state, *, days_ago: int = 0, **content) -> Start:
    with time_machine.travel(timezone.now() - datetime.timedelta(days=days_ago)):
        w = with_others(make_world())
        made = state(w, **content)
    return Start(w, made.pk if isinstance(made, ConnectionRequest) else made.bases.order_by("pk").first().request_id)


LATE = {
    "withdraw_request", "suspend_agreement", "resume_agreement", "terminate_agreement", "complete_duty", "finish_termination",
    "suspend_consumer", "lift_consumer_suspension", "expire_agreement", "lapse_request",
}  # fmt: skip
AMENDED = {
    "start_change", "start_renewal", "start_join", "decline_change", "merge_organizations", "announce_suspension",
    "cancel_suspension", "begin_suspension", "finish_suspension", "end_grant", "rotate_credential", "revoke_credential",
    "reissue_credential", "propose_content", "drop_amendment", "extend_test",
}  # fmt: skip
"""Some of these come so seldom that only the whole run is sure to have taken them all."""


@pytest.mark.sweep
@pytest.mark.django_db(transaction=True)
def test_cc_02_no_walk_leads_to_a_state_the_law_does_not_know():
    Walk.starts, Walk.ground = starts(), RefusalGround.objects.first()
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    walks = share(10_000, small=500)
    options = settings(
        max_examples=walks, stateful_step_count=50, deadline=None, suppress_health_check=checks, database=None,
        derandomize=False, print_blob=True, phases=[Phase.generate],
    )  # fmt: skip
    run_state_machine_as_test(Walk, settings=options)
    assert ("approved", AgreementStatus.IN_FORCE) in Walk.reached, "the walks never got anywhere"
    assert Walk.taken["late"] >= walks * 2 // 5, "about every second walk comes to the last steps of a case"
    wanted = LATE | AMENDED if is_full() else LATE
    assert {name for name in wanted if Walk.taken[name]} == wanted
    print(f"CC-02: {walks:,} walks of 50 steps; taken in so many walks: {dict(Walk.taken.most_common())}")
