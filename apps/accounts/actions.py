"""Verbs on accounts. Who may take them is a rule two floors up (`organizations.rules`), asked here by its name."""

from __future__ import annotations

import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.core.changes import change, invalid, save_valid
from apps.core.errors import InvalidFact, NotPermitted, TransitionNotAllowed
from apps.core.permissions import require
from apps.core.text import clean
from apps.core.workflow import came_second

CHANGEABLE = ("full_name", "email", "position", "phone")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that looks like something else: it is read aloud


@transaction.atomic
def open_account(
    username: str, *, by, full_name: str, email: str = "", position: str = "", phone: str = "", unique: bool = True
) -> User:
    """Open an account that has no password yet: it is set through the e-mail's link or `set_initial_password`.

    Raises NotPermitted, InvalidFact (`fields`), Conflict.
    """
    require(by, "accounts.open_account")
    user = User(
        username=username.strip().lower(), full_name=clean(full_name), email=email.strip().lower(), position=clean(position),
        phone=clean(phone), is_staff=True,
    )  # fmt: skip
    if not user.full_name:
        raise InvalidFact(fields={"full_name": [_("This is required.")]})
    if user.username.startswith("machine:"):
        raise InvalidFact(fields={"username": [_("This name is kept for machines.")]})
    user.set_unusable_password()
    save_valid(user, unique=unique)
    audit.record("account.opened", user, by=by)
    return user


@transaction.atomic
def change_account(user: User, *, by, version: int | None = None, **facts) -> dict:
    """Write name, e-mail, position or phone; StaleVersion for an old form. The audit row names the fields, not the person's data."""
    require(by, "accounts.change_account", user)
    _not_a_machine(user)
    if "email" in facts:
        facts["email"] = str(facts["email"]).strip().lower()
    changed = change(user, facts=facts, allowed=CHANGEABLE, version=version)
    if changed:
        audit.record("account.changed", user, by=by, fields=sorted(changed))
    return changed


@transaction.atomic
def disable_account(user: User, *, by, reason: str) -> User:
    """Shut an account: its very next request, with whatever session, is refused. Nobody shuts their own."""
    require(by, "accounts.disable_account", user)
    _not_self(user, by)
    _not_a_machine(user)
    _reasoned(reason)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        raise came_second(user, _("The account is already disabled."))
    user.is_active = False
    audit.record("account.disabled", user, by=by, reason=reason)
    return user


@transaction.atomic
def enable_account(user: User, *, by, reason: str) -> User:
    require(by, "accounts.enable_account", user)
    _not_self(user, by)
    _reasoned(reason)
    if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        raise came_second(user, _("The account is already enabled."))
    user.is_active = True
    audit.record("account.enabled", user, by=by, reason=reason)
    return user


@transaction.atomic
def set_initial_password(user: User, *, by) -> str:
    """Make a one-time password for somebody who has never logged in; return it once. It must be changed at the first login.

    After the first login a password is the person's own affair (reset by e-mail): an operator who could set it
    could act as an auditor or a signer.
    """
    require(by, "accounts.set_initial_password", user)
    _not_self(user, by)
    _not_a_machine(user)
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.last_login is not None or not user.is_active:
        raise TransitionNotAllowed(
            _("A first password can be given only before the first login. Afterwards the person resets it by e-mail.")
        )
    password = "-".join("".join(secrets.choice(_ALPHABET) for _i in range(5)) for _j in range(4))
    user.set_password(password)
    user.must_change_password = True
    user.save(update_fields=["password", "must_change_password"])
    audit.record("account.initial_password_set", user, by=by)
    return password


def set_own_password(user: User, password: str) -> User:
    """The person chose a password (change or reset by e-mail). Raises InvalidFact when it is too weak."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise invalid(error) from None
    with transaction.atomic():
        user.set_password(password)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        audit.record("account.password_changed", user, by=user)
    return user


def _not_self(user: User, by) -> None:
    if user.pk == by.pk:
        raise NotPermitted(_("Nobody takes this step on their own account."), code="own_account")


def _not_a_machine(user: User) -> None:
    if user.is_machine:
        raise NotPermitted(_("A machine's account is not managed here."), code="machine_account")


def _reasoned(reason: str) -> None:
    if not clean(reason):
        raise InvalidFact(fields={"reason": [_("Give a reason.")]})
