from django.core.management.base import BaseCommand

from apps.gateway import actions


class Command(BaseCommand):
    help = "Make the partitions of the call log for the months ahead."

    def handle(self, *args, **options) -> None:
        self.stdout.write(f"{actions.make_partitions()} tables made")
