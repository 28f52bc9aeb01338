"""What `make run` prints when all is up: who can log in, and one call that can be pasted."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from apps.portal.demo import secrets

CALL = "/gw/business-registration/v1/chiTietDoanhNghiep?msdn="
PURPOSE = "giai-quyet-tthc"
COMPANY = "0990000001"


class Command(BaseCommand):
    help = "Print the demonstration accounts with their roles, and a curl line that makes a real call."

    def handle(self, *args, **options):
        state = secrets.kept()
        if state is None:
            self.stdout.write("The demonstration province is not loaded (manage.py load_demo).")
            return
        self.stdout.write(f"Accounts (password of all: {state['password']})")
        for user in get_user_model().objects.filter(memberships__isnull=False).distinct().order_by("pk"):
            roles = user.memberships.filter(ended_at__isnull=True).select_related("organization").order_by("pk")
            held = "; ".join(
                f"{row.get_role_display()} – {row.organization.short_name or row.organization.name}" for row in roles
            )
            self.stdout.write(f"  {user.username:<14} {user.full_name:<20} {held}")
        self.stdout.write("")
        self.stdout.write(self._curl(state))

    def _curl(self, state: dict) -> str:
        gateway = settings.GATEWAY_URL.rstrip("/")
        config = secrets.point_token_config(f"{gateway}/oauth/token")
        token = f'$(curl -K \'{config}\' | sed \'s/.*"access_token": *"\\([^"]*\\)".*/\\1/\')'
        return f'curl -sS -H "Authorization: Bearer {token}" -H "X-Purpose-Code: {PURPOSE}" \'{gateway}{CALL}{COMPANY}\''
