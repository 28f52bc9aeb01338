from __future__ import annotations

import datetime
import uuid

import rules
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory


class AccountManager(UserManager):
    def machine(self, name: str) -> User:
        """The machine user called `name` (the clock, the sync worker); made on first use, cannot log in."""
        user, created = self.get_or_create(
            username=f"machine:{name}", defaults={"full_name": name, "is_machine": True, "password": "!"}
        )
        return user


USERNAME = RegexValidator(
    r"^[a-z0-9][a-z0-9._@:-]{1,149}$", _("A user name has small letters, digits and the signs . _ - @, without spaces.")
)


class User(WithHistory, AbstractUser):
    """A person or a machine. `is_staff` opens the portal's shell; rights come from memberships."""

    username = models.CharField(
        _("user name"), max_length=150, unique=True, validators=[USERNAME],
        help_text=_("Small letters, digits and the signs . _ - @"), error_messages={"unique": _("This user name is taken.")},
    )  # fmt: skip
    first_name = None
    last_name = None
    uuid = models.UUIDField(_("identifier"), default=uuid.uuid4, unique=True, editable=False)
    full_name = models.CharField(_("full name"), max_length=200, blank=True)
    position = models.CharField(_("position"), max_length=200, blank=True)
    phone = models.CharField(_("phone"), max_length=30, blank=True)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    is_machine = models.BooleanField(_("is a machine"), default=False)
    must_change_password = models.BooleanField(_("must choose a new password"), default=False)

    objects = AccountManager()

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            # One login is one person: neither the case of a name nor a shared mailbox makes two of it.
            models.UniqueConstraint(
                Lower("username"), name="accounts_user_username_any_case", violation_error_message=_("This user name is taken.")
            ),
            models.UniqueConstraint(
                Lower("email"), condition=~Q(email=""), name="accounts_user_email_any_case",
                violation_error_message=_("This e-mail address belongs to another account."),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.full_name or self.username

    def last_move(self) -> tuple[str, datetime.datetime | None]:
        """Who shut or opened the account last. What else is done to a person or by them is nobody's step before this one."""
        return self.last_move_of("account.disabled", "account.enabled")

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name or self.username

    def has_perm(self, perm: str, obj=None) -> bool:
        """A permission that has a rule is decided by the rule alone: being superuser does not step over four eyes."""
        if rules.perm_exists(perm):
            return self.is_active and rules.has_perm(perm, self, obj)
        return super().has_perm(perm, obj)
