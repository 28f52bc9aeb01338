"""Accounts of systems: collected once, rotated with an overlap, revoked at once."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import CredentialStatus, GrantStatus
from apps.agreements.grants import issue_credential, lifetime_end
from apps.agreements.locks import hold
from apps.agreements.models import Credential
from apps.agreements.secrets import hash_secret, new_secret
from apps.agreements.workflow import CREDENTIAL
from apps.audit import actions as audit
from apps.connections.announcements import people
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing
from apps.core.workflow import came_second, require
from apps.legal.models import LegalRule
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem

LIFETIME = "credential.lifetime"
OVERLAP = "credential.rotation_overlap"
WAITS = N_("A new account %(client)s of %(system)s can be collected.")


@transaction.atomic
def claim_credential(credential: Credential, *, by, version: int | None = None) -> str:
    """Make the secret, keep its hash, and return it: the only time it can be read.

    The account it replaces goes on for the overlap of the rule `credential.rotation_overlap`, then ends.
    """
    # The older account first: whoever revokes that one at this instant waits, or is waited for.
    replaced = Credential.objects.select_for_update(no_key=True).filter(pk=credential.replaces_id).first()
    now = timezone.now()
    secret = new_secret()
    months = int(LegalRule.objects.rule(LIFETIME, timezone.localdate(now)).value)
    CREDENTIAL.move(
        credential, "claim", by=by, version=version, secret_hash=hash_secret(secret), claimed_by=by, claimed_at=now,
        expires_at=lifetime_end(now, months),
    )  # fmt: skip
    raise_epoch("credential", credential.uuid)
    if replaced is not None and replaced.status == CredentialStatus.ACTIVE:
        _limit(replaced, now)
    audit.record("credential.claimed", credential, by=by, organizations=[credential.system.organization])
    return secret


def _limit(old: Credential, now: datetime.datetime) -> None:
    hours = float(LegalRule.objects.rule(OVERLAP, timezone.localdate(now)).value)
    ends = now + datetime.timedelta(hours=hours)
    if old.expires_at is None or old.expires_at > ends:
        Credential.objects.filter(pk=old.pk).update(expires_at=ends, version=old.version + 1)
        raise_epoch("credential", old.uuid)


@transaction.atomic
def rotate_credential(credential: Credential, *, by, version: int | None = None) -> Credential:
    """Issue the successor of `credential`, to be collected. Raises Conflict when one is waiting already."""
    hold((), {credential.system.code})
    CREDENTIAL.move(credential, "rotate", by=by, version=version)
    new = issue_credential(credential.system, credential.environment, by=by, delegated=False, replaces=credential)
    if new is None:
        said = _("A new account is waiting to be collected already.")
        raise came_second(_newest(credential.system, credential.environment, by), said, Conflict, code="already_waiting")
    audit.record(
        "credential.rotated", credential, by=by, organizations=[credential.system.organization], successor=new.client_id
    )
    _tell_owner("waiting", new, WAITS, by)
    return new


@transaction.atomic
def reissue_credential(system: InformationSystem, environment: str, *, by) -> Credential:
    """A new account after the old one was revoked or ran out, by whoever issues accounts for the system (WF-02).

    Raises NotPermitted, FactMissing without an open grant, Conflict when the system has an account that works.
    """
    if not system.grants.filter(environment=environment).exclude(status=GrantStatus.ENDED).exists():
        raise FactMissing(_("This system has no access in this environment."), code="no_access")
    require(by, "agreements.reissue_credential", Credential(system=system, environment=environment))
    new = issue_credential(system, environment, by=by, delegated=False)
    if new is None:
        said = _("The system has an account already.")
        raise came_second(_newest(system, environment, by), said, Conflict, code="has_account")
    _tell_owner("waiting", new, WAITS, by)
    return new


def _tell_owner(event: str, credential: Credential, message: str, by, **params) -> None:
    """The officers of the agency whose system it is, but for who did it: its calls depend on it."""
    system = credential.system
    notify(
        people(Role.CONSUMER_OFFICER, [system.organization_id]).exclude(pk=by.pk), f"credential.{event}",
        key=f"credential.{event}:{credential.uuid}", message=message, url=f"/portal/accounts/{credential.uuid}/",
        client=credential.client_id, system=system.name, **params,
    )  # fmt: skip


def _newest(system: InformationSystem, environment: str, by) -> Credential | None:
    """The account that stands in the way, where `by` may see it: who issues accounts is told that one is there, not whose hands made it."""
    held = Credential.objects.visible_to(by).filter(system=system, environment=environment)
    return held.exclude(status=CredentialStatus.REVOKED).order_by("-created_at").first()


@transaction.atomic
def revoke_credential(credential: Credential, *, by, reason: str, version: int | None = None) -> Credential:
    """End the account at once: no token of it opens a call from here on."""
    if not reason.strip():
        raise FactMissing(fields={"reason": [_("This field is required.")]})
    # As it is now: that it was rotated or limited at this instant is no reason to leave it open.
    credential.refresh_from_db(from_queryset=Credential.objects.select_for_update(no_key=True))
    CREDENTIAL.move(credential, "revoke", by=by, version=version, revoked_at=timezone.now())
    raise_epoch("credential", credential.uuid)
    audit.record("credential.revoked", credential, by=by, organizations=[credential.system.organization], reason=reason.strip())
    _tell_owner(
        "revoked", credential, N_("The account %(client)s of %(system)s was revoked, and its calls are refused: %(reason)s"), by,
        reason=reason.strip(),
    )  # fmt: skip
    return credential
