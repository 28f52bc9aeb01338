"""Verbs on questions and suggestions about a service (NĐ 47/2020 Điều 25(4), WF-04)."""

from __future__ import annotations

import uuid as uuids

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.core.errors import FactMissing, InvalidFact
from apps.core.once import made_once
from apps.core.permissions import require
from apps.legal import deadlines
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.organizations.models import Membership, Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import DataService, Feedback
from apps.registry.workflow import FEEDBACK

RULE = "service.feedback"
LONGEST = 5_000


@transaction.atomic
def give_feedback(
    service: DataService, *, by, text: str, organization: Organization | None = None, uuid: uuids.UUID | None = None
) -> Feedback:
    """Ask or suggest something about `service`, for one's own agency (`organization` where there are several).

    Whoever may see the service reads it; the provider's officers are told until when to answer. `uuid`, chosen by the
    caller, makes the act repeatable (CC-05). Raises NotPermitted, FactMissing, InvalidFact (a foreign agency, a text too
    long), Conflict (the uuid of another act).
    """
    require(by, "registry.give_feedback", service)
    text = _told("text", text)
    asker = _own(by, organization)
    deadline = deadlines.start(RULE, timezone.now())
    facts = {"organization": asker, "due_at": deadline.due_at, "deadline_rule": deadline.rule}
    same = {"service": service, "author": by, "text": text}
    row, is_new = made_once(Feedback, uuid, lambda key: Feedback.objects.create(uuid=key, **same, **facts), **same)
    if not is_new:
        return row
    audit.record("feedback.given", row, by=by, organizations=[service.provider, asker], service=service.code)
    officers = Membership.objects.current().filter(role=Role.PROVIDER_OFFICER, organization_id=service.provider_id)
    notify(
        User.objects.filter(pk__in=officers.values("user_id")), "feedback.given", key=f"feedback.given:{row.uuid}",
        message=gettext_noop("A question about “%(service)s” is to be answered by %(day)s."), url=_address(service),
        service=service.name, day=timezone.localtime(row.due_at).strftime("%d/%m/%Y"),
    )  # fmt: skip
    return row


@transaction.atomic
def answer_feedback(feedback: Feedback, *, by, answer: str, version: int | None = None) -> Feedback:
    """The provider's officer answers, once; the one who asked is told."""
    FEEDBACK.check(feedback, "answer", by=by, version=version)
    answer = _told("answer", answer)
    FEEDBACK.move(feedback, "answer", by=by, version=version, answer=answer, answered_by=by, answered_at=timezone.now())
    audit.record("feedback.answered", feedback, by=by, organizations=[feedback.service.provider, feedback.organization],
                 service=feedback.service.code)  # fmt: skip
    notify(
        [feedback.author], "feedback.answered", key=f"feedback.answered:{feedback.uuid}", url=_address(feedback.service),
        message=gettext_noop("Your question about “%(service)s” was answered."), service=feedback.service.name,
    )  # fmt: skip
    return feedback


def _told(name: str, text: str) -> str:
    text = text.strip()
    if not text:
        raise FactMissing(fields={name: [_("This field is required.")]})
    if len(text) > LONGEST:
        raise InvalidFact(fields={name: [_("At most %(count)d characters.") % {"count": LONGEST}]})
    return text


def _own(by, organization: Organization | None) -> Organization:
    mine = organization_ids(by)
    if organization is not None and organization.pk not in mine:
        raise InvalidFact(fields={"organization": [_("You do not work for this agency.")]})
    return organization or Organization.objects.get(pk=min(mine))


def _address(service: DataService) -> str:
    return f"/portal/services/{service.code}/#questions"
