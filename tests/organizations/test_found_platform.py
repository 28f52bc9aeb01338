import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from apps.organizations.choices import Role
from apps.organizations.models import Membership, Organization

WORDS = {"code": "H03.05", "name": "Sở Khoa học và Công nghệ", "username": "vanhanh", "full_name": "Lục Văn Dũng"}


def test_an_empty_platform_is_founded_once(db, capsys):
    call_command("found_platform", **WORDS)
    row = Membership.objects.get()
    assert (row.role, row.user.username, row.organization.code) == (Role.OPERATOR, "vanhanh", "H03.05")
    password = capsys.readouterr().out.rsplit(" ", 1)[1].strip()
    assert get_user_model().objects.get(username="vanhanh").check_password(password)
    with pytest.raises(CommandError, match="operator already"):
        call_command("found_platform", **{**WORDS, "code": "H03.06", "username": "khac"})


def test_a_wrong_identifier_founds_nothing(db):
    with pytest.raises(CommandError):
        call_command("found_platform", **{**WORDS, "code": "sai"})
    assert not Organization.objects.exists()
