"""`manage.py found_platform`: the operating agency and its first operator, on an empty platform."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.choices import SETUP
from apps.core.errors import DomainError
from apps.organizations.actions import give_role, open_account, register_organization, set_initial_password
from apps.organizations.choices import OrganizationKind, Role
from apps.organizations.models import Membership


class Command(BaseCommand):
    help = "Found the platform: enter the operating agency and open the account of its first operator. Works once."

    def add_arguments(self, parser):
        parser.add_argument("--code", required=True, help="identifier of the operating agency (QĐ 20/2020), e.g. H03.05")
        parser.add_argument("--name", required=True, help="its name")
        parser.add_argument("--username", required=True, help="account of the first operator")
        parser.add_argument("--full-name", required=True)
        parser.add_argument("--email", default="")

    @transaction.atomic
    def handle(self, *args, **options):
        if Membership.objects.current().filter(role=Role.OPERATOR).exists():
            raise CommandError("The platform has an operator already: further people get their roles in the portal.")
        setup = get_user_model().objects.machine(SETUP)
        try:
            agency = register_organization(options["code"], options["name"], by=setup, kind=OrganizationKind.DEPARTMENT)
            operator = open_account(options["username"], by=setup, full_name=options["full_name"], email=options["email"])
            give_role(operator, agency, Role.OPERATOR, by=setup)
            password = set_initial_password(operator, by=setup)
        except DomainError as error:
            raise CommandError(f"{error.code}: {error} {error.extra or ''}") from error
        self.stdout.write(f"One-time password of {operator.username} (shown once): {password}")
