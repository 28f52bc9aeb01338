"""The first agency and the first operator of an empty platform: nobody is there yet who could give a role."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.choices import SETUP
from apps.accounts.models import User
from apps.core.errors import DomainError
from apps.organizations import actions
from apps.organizations.choices import Role
from apps.organizations.models import Membership, Organization


class Command(BaseCommand):
    help = (
        "Enter the agency that operates the platform and its first operator, and print a one-time password. "
        "Refused as soon as an active operator exists: from then on operators give roles."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--code", required=True, help="identifier of the operating agency, as H03.12")
        parser.add_argument("--agency", required=True, help="its name")
        parser.add_argument("--username", required=True)
        parser.add_argument("--full-name", required=True)
        parser.add_argument("--email", default="")

    @transaction.atomic
    def handle(self, *args, **options) -> None:
        if Membership.objects.current().filter(role=Role.OPERATOR, user__is_active=True).exists():
            raise CommandError("The platform has an operator already: operators give further roles.")
        setup = User.objects.machine(SETUP)
        try:
            agency = Organization.objects.by_code(options["code"]) or actions.register_organization(
                options["code"], options["agency"], by=setup
            )
            user = actions.open_account(
                options["username"], by=setup, full_name=options["full_name"], email=options["email"], organization=agency,
                role=Role.OPERATOR,
            )  # fmt: skip
            word = actions.set_initial_password(user, by=setup)
        except DomainError as error:
            raise CommandError(f"{error} {error.extra.get('fields', '')}".strip()) from None
        self.stdout.write(f"operator: {user.username}\none-time password (must be changed at the first login): {word}")
