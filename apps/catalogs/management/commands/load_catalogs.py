"""`manage.py load_catalogs --by USERNAME`: the real lists of apps/catalogs/data as first releases."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from apps.catalogs import first_releases
from apps.core.errors import DomainError


class Command(BaseCommand):
    help = "Load the catalogs that come with the platform. Safe to run twice."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--by", required=True, help="username of the officer who publishes them (operator or legal officer)"
        )
        parser.add_argument("--only", nargs="*", default=[], help="codes of the catalogs to load")

    def handle(self, *, by: str, only: list[str], **options) -> None:
        officer = get_user_model().objects.filter(username=by).first()
        if officer is None:
            raise CommandError(f"There is no user {by!r}.")
        try:
            made = first_releases.load(by=officer, only=tuple(only))
        except DomainError as error:
            raise CommandError(f"{error.code}: {error}") from error
        for release in made:
            self.stdout.write(
                f"{release.catalog.code} {release.number}: {release.counts.get('rows', 0)} rows, {release.source}"
            )
        if not made:
            self.stdout.write("Everything is there already.")
