from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


class AccountManager(UserManager):
    def machine(self, name: str) -> User:
        """The machine user called `name` (the clock, the sync worker); made on first use, cannot log in."""
        user, created = self.get_or_create(
            username=f"machine:{name}", defaults={"full_name": name, "is_machine": True, "password": "!"}
        )
        return user


class User(AbstractUser):
    """A person or a machine. `is_staff` opens the portal's shell; rights come from memberships."""

    first_name = None
    last_name = None
    uuid = models.UUIDField(_("identifier"), default=uuid.uuid4, unique=True, editable=False)
    full_name = models.CharField(_("full name"), max_length=200, blank=True)
    position = models.CharField(_("position"), max_length=200, blank=True)
    phone = models.CharField(_("phone"), max_length=30, blank=True)
    is_machine = models.BooleanField(_("is a machine"), default=False)

    objects = AccountManager()

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.full_name or self.username

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name or self.username
