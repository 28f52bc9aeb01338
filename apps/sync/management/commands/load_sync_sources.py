"""`manage.py load_sync_sources --by <username>`: the demonstration's sources, pointed at the sandbox."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.core.errors import DomainError
from apps.sync import demonstration


class Command(BaseCommand):
    help = "Add the sources of the demonstration that are not there yet. `--by` names an operator."

    def add_arguments(self, parser):
        parser.add_argument("--by", required=True)
        parser.add_argument("--base-url", default="")

    def handle(self, *args, **options):
        try:
            operator = User.objects.get(username=options["by"])
            made = demonstration.load(by=operator, base_url=options["base_url"])
        except User.DoesNotExist:
            raise CommandError(f"There is no user {options['by']!r}.") from None
        except DomainError as error:
            raise CommandError(f"{error.code}: {error} {error.extra}") from None
        self.stdout.write(f"{len(made)} sync sources added.")
