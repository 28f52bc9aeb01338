"""`manage.py load_demo`: the demonstration province, once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from apps.organizations.models import Organization
from apps.portal.demo import cases, offers, people, secrets, tables
from apps.sync.actions import change_source
from apps.sync.models import Source

PROVINCE = Path(people.__file__).with_name("province.json")
_LOCK = 70_190_001
PUBLISHER = "vanhanh"


def sandbox_address(url: str) -> str:
    """`url` with the origin the sandbox has now."""
    parts = urlsplit(settings.SANDBOX_URL)
    return urlunsplit(urlsplit(url)._replace(scheme=parts.scheme, netloc=parts.netloc))


class Command(BaseCommand):
    help = "Load the demonstration province through the ordinary verbs. Does nothing when it is there. Never in production."

    def handle(self, *args, **options):
        if settings.IS_PRODUCTION:
            raise CommandError("The demonstration province is not for production.")
        self._load_province()
        call_command("load_catalogs", by=PUBLISHER, stdout=self.stdout)
        tables.load(by=get_user_model().objects.get(username=PUBLISHER))
        self._repoint_sources()
        call_command("load_sync_sources", by=PUBLISHER, stdout=self.stdout)

    def _repoint_sources(self) -> None:
        """After a start with another port for the sandbox: the operator enters its present address."""
        operator = get_user_model().objects.get(username=PUBLISHER)
        for source in Source.objects.all():
            base, token = (sandbox_address(url) for url in (source.base_url, source.token_url))
            if (base, token) != (source.base_url, source.token_url):
                change_source(source, by=operator, base_url=base, token_url=token)

    @transaction.atomic
    def _load_province(self) -> None:
        """One transaction: a killed load leaves nothing, and of two at once the second finds the work done."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        data = json.loads(PROVINCE.read_text(encoding="utf-8"))
        if Organization.objects.exists():
            offers.repoint(data)
            self.stdout.write("The demonstration province is there already.")
            return
        by_name = people.found(data)
        call_command("load_catalogs", by=PUBLISHER, stdout=self.stdout)  # contracts name them
        offers.publish_all(data, by_name)
        offers.begin_by_hand(by_name)
        credential, secret = cases.play(by_name)
        self._give_password(by_name.values(), credential.client_id, secret)
        self.stdout.write("The demonstration province is loaded.")

    def _give_password(self, users, client_id: str, client_secret: str) -> None:
        """All demonstration accounts share one password, kept in var/ before the transaction commits."""
        password = secrets.new_password()
        for user in users:
            user.set_password(password)
            user.save(update_fields=["password"])
        secrets.keep(password, client_id, client_secret, f"{settings.GATEWAY_URL.rstrip('/')}/oauth/token")
