"""An empty platform gets its first operator, once."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import has_role
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
GIVEN = ["--code=H03.12", "--agency=Sở Khoa học và Công nghệ", "--username=van.hanh", "--full-name=Vận Hành"]


def test_the_first_operator_is_made_with_a_one_time_password():
    out = io.StringIO()
    call_command("found_platform", *GIVEN, stdout=out)
    user = User.objects.get(username="van.hanh")
    word = re.search(r": ([a-z2-9-]{23})$", out.getvalue().strip())[1]
    assert user.check_password(word)
    assert user.must_change_password
    assert has_role(user, Role.OPERATOR)


def test_it_is_refused_as_soon_as_there_is_an_operator():
    officer(Role.OPERATOR)
    with pytest.raises(CommandError):
        call_command("found_platform", *GIVEN)
    assert not User.objects.filter(username="van.hanh").exists()


def test_nonsense_leaves_nothing():
    with pytest.raises(CommandError, match="code"):
        call_command("found_platform", "--code=xyz", *GIVEN[1:])
    with pytest.raises(CommandError):
        call_command("found_platform", *GIVEN[:2], "--username=có dấu", "--full-name=X")
    assert not Organization.objects.exists()
