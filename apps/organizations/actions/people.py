"""Verbs on people: accounts, and the roles that give them rights.

Nobody gives a role, or the document of one, to themselves, and an auditor holds no other role: the one who checks is not the one
who acts. An agency's administrator (WF-06) gives and ends the roles of officers and signers in that agency alone, to its own
people, holds none of them there, and the operators hear of each.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.accounts import actions as accounts
from apps.accounts.models import User
from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.errors import Conflict, InvalidFact, NotFound, NotPermitted
from apps.core.permissions import require
from apps.core.text import clean
from apps.core.workflow import came_second, may
from apps.notices.actions import notify
from apps.organizations.choices import AGENCY_ROLES, OrganizationStatus, Role
from apps.organizations.models import Membership, Organization
from apps.organizations.roles import forget_roles


@transaction.atomic
def open_account(
    username: str,
    *,
    by,
    full_name: str,
    email: str = "",
    position: str = "",
    phone: str = "",
    organization: Organization | None = None,
    role: str = "",
    authority: str = "",
    unique: bool = True,
) -> User:
    """Open a person's account, with a first role when one is named, and tell them by e-mail how to set a password.

    Without an e-mail address somebody must hand over the word of `set_initial_password`; that is the operator's affair, so
    an agency's administrator names an address, and a role in the own agency. `authority` is as in `give_role`.
    Raises NotPermitted, InvalidFact, Conflict.
    """
    if not may(by, "organizations.give_any_role"):
        _whole_for_own_agency(organization, role, email)
        require(by, "organizations.give_role", organization)
        _only_agency_roles(role)
    _only_of_a_signer(role, authority)
    user = accounts.open_account(
        username, by=by, full_name=full_name, email=email, position=position, phone=phone, unique=unique
    )
    if role:
        if organization is None:
            raise InvalidFact(fields={"organization": [_("A role is held in an organization.")]})
        _give(user, organization, role, by, authority)
    if user.email:
        notify(
            [user], "account.opened", key=f"account.opened:{user.uuid}",
            message=gettext_noop("Your account “%(username)s” was opened. Set your password at %(address)s."),
            username=user.username, address=settings.SITE_URL + reverse("account_reset_password"),
        )  # fmt: skip
    return user


@transaction.atomic
def give_role(user: User, organization: Organization, role: str, *, by, authority: str = "") -> Membership:
    """Give `user` the role in `organization`. A role already held is answered with the row that says so.

    `authority` is the document by which a signer signs, empty for who signs by office (regulations section 8, item 1).
    Raises NotPermitted (own account, machine, a role an agency's administrator may not give), NotFound (not one of the
    administrator's people), InvalidFact (unknown role, a document for another role than the signer's), Conflict (agency or account
    not active, auditor with another role, `authority_differs` for a signer by another document).
    """
    require(by, "organizations.give_role", organization)
    if not may(by, "organizations.give_any_role"):
        _only_agency_roles(role)
        if not user.memberships.filter(organization=organization).exists():
            raise NotFound
    _only_of_a_signer(role, authority)
    return _give(user, organization, role, by, authority)


def _give(user: User, organization: Organization, role: str, by, authority: str) -> Membership:
    if user.pk == by.pk:
        raise NotPermitted(_("Nobody gives a role to themselves."), code="own_account")
    if user.is_machine:
        raise NotPermitted(_("A machine holds no role."), code="machine_account")
    if role not in Role.values:
        raise InvalidFact(fields={"role": [_("“%(value)s” is not one of: %(all)s.") % {
            "value": str(role)[:80], "all": ", ".join(Role.values)}]})  # fmt: skip
    authority = clean(authority)
    # The person's row is the lock: two roles given at the same instant see each other.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    held = Membership.objects.current().filter(user=user, organization=organization, role=role).first()
    if held is not None:
        if authority not in ("", held.authority):
            told = _("The role is held already, by another document or by office: change the document there.")
            raise came_second(held, told, Conflict, code="authority_differs")
        return held
    _may_hold(user, organization, role)
    membership = save_valid(Membership(user=user, organization=organization, role=role, given_by=by, authority=authority))
    forget_roles(user)
    named = {"authority": authority} if authority else {}
    audit.record("role.given", membership, by=by, organizations=[organization], role=role, user=str(user.uuid), **named)
    _tell_operators(membership, "given", by)
    return membership


@transaction.atomic
def change_authority(membership: Membership, *, by, authority: str, version: int | None = None) -> dict:
    """Write by what document a signer signs; empty for who signs by office. Return what changed (name → [before, after]).

    For whoever may give that role, never for oneself. Contents that are made from now on say it; those that stand say what they
    said. Raises NotPermitted, InvalidFact (not a signer's role), StaleVersion, TransitionNotAllowed (the role has ended).
    """
    require(by, "organizations.give_role", membership.organization)
    if membership.user_id == by.pk:
        raise NotPermitted(_("Nobody changes the document of their own role."), code="own_account")
    _only_of_a_signer(membership.role, authority)
    # The lock makes of a change and an end at the same instant one after the other.
    membership.refresh_from_db(from_queryset=Membership.objects.select_for_update(no_key=True))
    if membership.ended_at is not None:
        raise came_second(membership, _("The role has ended already."))
    changed = change(membership, facts={"authority": clean(authority)}, allowed=("authority",), version=version)
    if changed:
        audit.record("role.authority_changed", membership, by=by, organizations=[membership.organization],
                     user=str(membership.user.uuid), changes=changed)  # fmt: skip
        _tell_operators(membership, "authority_changed", by)
    return changed


@transaction.atomic
def end_role(membership: Membership, *, by, reason: str = "") -> Membership:
    """End a role from the next request on. Nobody ends their own, and the last operator's role cannot be ended."""
    require(by, "organizations.end_role", membership.organization)
    if membership.user_id == by.pk:
        raise NotPermitted(_("Nobody ends their own role."), code="own_account")
    if not may(by, "organizations.give_any_role"):
        _only_agency_roles(membership.role)
    if membership.role == Role.OPERATOR:
        _not_the_last_operator(membership)
    now = timezone.now()
    if Membership.objects.current().filter(pk=membership.pk).update(ended_at=now, updated_at=now) != 1:
        raise came_second(membership, _("The role has ended already."))
    membership.ended_at = now
    forget_roles(membership.user)
    audit.record("role.ended", membership, by=by, organizations=[membership.organization], role=membership.role,
                 user=str(membership.user.uuid), reason=reason)  # fmt: skip
    _tell_operators(membership, "ended", by)
    return membership


def _whole_for_own_agency(organization: Organization | None, role: str, email: str) -> None:
    """What an agency's administrator has to name for a new account. Raises InvalidFact with what is absent."""
    given = {"organization": organization, "role": role, "email": email.strip()}
    absent = {name: [_("This is required.")] for name, value in given.items() if not value}
    if absent:
        raise InvalidFact(fields=absent)


def _only_agency_roles(role: str) -> None:
    if role in Role.values and role not in AGENCY_ROLES:
        raise NotPermitted(_("Only the operator gives and ends this role."), code="role_of_the_operator")


def _only_of_a_signer(role: str, authority: str) -> None:
    if clean(authority) and role != Role.SIGNER:
        raise InvalidFact(fields={"authority": [_("Only a signer is empowered by a document.")]})


def _tell_operators(membership: Membership, event: str, by) -> None:
    """What an agency's administrator gave, changed or ended; the operator's own acts are known to the operator."""
    if may(by, "organizations.give_any_role"):
        return
    messages = {
        "given": gettext_noop("%(by)s of %(agency)s gave %(person)s the role “%(role)s” there."),
        "authority_changed": gettext_noop("%(by)s of %(agency)s changed the document by which %(person)s signs there."),
        "ended": gettext_noop("%(by)s of %(agency)s ended the role “%(role)s” of %(person)s there."),
    }
    operators = Membership.objects.current().filter(role=Role.OPERATOR, organization__status=OrganizationStatus.ACTIVE)
    notify(
        User.objects.filter(pk__in=operators.values("user_id"), is_active=True), f"role.{event}",
        key=f"role.{event}:{membership.uuid}:v{membership.version}", message=messages[event], url=f"/portal/agencies/{membership.organization.code}/",
        by=str(by), agency=membership.organization.name, person=str(membership.user), role=str(membership.get_role_display()),
    )  # fmt: skip


@transaction.atomic
def change_person(user: User, *, by, **facts) -> dict:
    """Change name, e-mail, position, phone. A new e-mail address is told to the old one: a password could be reset with it."""
    old = User(pk=user.pk, uuid=user.uuid, username=user.username, email=user.email, is_active=True)
    changed = accounts.change_account(user, by=by, **facts)
    if "email" in changed:
        audit.record("account.email_changed", user, by=by)
        # A new key for each change: the address may come back later.
        notify([old], "account.email_changed", key=f"account.email_changed:{user.uuid}:{timezone.now().timestamp()}",
               message=gettext_noop("The e-mail address of your account “%(username)s” was changed by the operator."),
               username=user.username)  # fmt: skip
    return changed


def disable_person(user: User, *, by, reason: str) -> User:
    """Shut the account from the next request on; roles stay, so that enabling gives back what was."""
    return accounts.disable_account(user, by=by, reason=reason)


def enable_person(user: User, *, by, reason: str) -> User:
    return accounts.enable_account(user, by=by, reason=reason)


def set_initial_password(user: User, *, by) -> str:
    """A one-time password for somebody who never logged in; shown once. See `accounts.actions`."""
    return accounts.set_initial_password(user, by=by)


def _may_hold(user: User, organization: Organization, role: str) -> None:
    if not user.is_active:
        raise Conflict(_("The account is disabled."), code="account_disabled")
    if organization.status != OrganizationStatus.ACTIVE:
        raise Conflict(_("The agency is not active."), code="organization_not_active")
    others = set(Membership.objects.current().filter(user=user).values_list("role", flat=True))
    if (role == Role.AUDITOR and others - {Role.AUDITOR}) or (role != Role.AUDITOR and Role.AUDITOR in others):
        raise Conflict(_("An auditor holds no other role: the one who checks is not the one who acts."), code="auditor_apart")
    here = set(Membership.objects.current().filter(user=user, organization=organization).values_list("role", flat=True))
    if (role == Role.AGENCY_ADMIN and here & set(AGENCY_ROLES)) or (role in AGENCY_ROLES and Role.AGENCY_ADMIN in here):
        raise Conflict(
            _(
                "Who gives the roles of an agency takes none of its steps: the administrator is neither officer nor signer there."
            ),
            code="administrator_apart",
        )


def _not_the_last_operator(membership: Membership) -> None:
    """Locks the operators' rows: of two who end each other's role at the same instant one stays."""
    operators = Membership.objects.current().filter(
        role=Role.OPERATOR, user__is_active=True, organization__status=OrganizationStatus.ACTIVE
    )
    held = list(operators.select_for_update(of=("self",), no_key=True).order_by("pk").values_list("user_id", flat=True))
    if not set(held) - {membership.user_id}:
        raise Conflict(_("The last operator's role cannot be ended."), code="last_operator")
