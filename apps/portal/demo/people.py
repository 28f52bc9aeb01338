"""Agencies, focal points, systems and people of the demonstration."""

from __future__ import annotations

import datetime

from django.contrib.auth import get_user_model
from django.utils import timezone

from apps.accounts.choices import SETUP
from apps.organizations.actions.agencies import name_focal_point, register_organization
from apps.organizations.actions.people import give_role, open_account
from apps.organizations.actions.systems import register_system
from apps.organizations.models import Organization


def found(data: dict) -> dict:
    """Enter agencies, systems and people; return username → User."""
    setup = get_user_model().objects.machine(SETUP)
    agencies: dict[str, Organization] = {}
    for row in data["organizations"]:
        facts = {**row, "parent": agencies.get(row.get("parent"))}
        agencies[row["code"]] = register_organization(facts.pop("code"), facts.pop("name"), by=setup, **facts)
    for row in data["focal_points"]:
        facts = dict(row)
        name_focal_point(agencies[facts.pop("organization")], by=setup, function="Đầu mối chia sẻ dữ liệu", **facts)
    expires = timezone.localdate() + datetime.timedelta(days=730)
    for row in data["systems"]:
        facts = dict(row)
        register_system(agencies[facts.pop("organization")], by=setup, security_expires_on=expires, **facts)
    return {row["username"]: _person(row, agencies, setup) for row in data["people"]}


def _person(row: dict, agencies: dict[str, Organization], setup):
    user = open_account(row["username"], by=setup, full_name=row["full_name"], position=row["position"],
                        email=f"{row['username']}@example.vn")  # fmt: skip
    for role in row["roles"]:
        give_role(user, agencies[row["organization"]], role, by=setup, authority=row.get("authority", ""))
    return user
