"""People and machines."""

from __future__ import annotations

from functools import cache

import factory
from django.contrib.auth.hashers import make_password

from apps.accounts.models import User
from tests.factories.base import Factory

PASSWORD = "mat khau thu nghiem 2026"


class UserFactory(Factory):
    """An active person who may open the portal; the password is `PASSWORD` (hashed once a run: hashing is slow)."""

    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"can-bo-{n}")
    full_name = factory.Sequence(lambda n: f"Cán bộ {n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.vn")
    position = "Chuyên viên"
    is_staff = True

    @factory.lazy_attribute
    def password(self):
        return hashed_password()


class MachineFactory(UserFactory):
    """A machine user: cannot log in."""

    username = factory.Sequence(lambda n: f"machine:may-{n}")
    is_machine = True
    is_staff = False
    password = "!"


@cache
def hashed_password() -> str:
    return make_password(PASSWORD)
