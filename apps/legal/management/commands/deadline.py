"""`manage.py deadline --days 2 --from 2026-02-13T10:00`: the due moment, then each day skipped and why."""

import datetime

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.legal.deadlines import working_days


class Command(BaseCommand):
    help = "Print when a term of working days ends (ISO 8601, Vietnam time), and below it each day skipped and why."

    def add_arguments(self, parser):
        parser.add_argument("--days", type=int, required=True)
        parser.add_argument("--from", dest="start", required=True, help="moment of receipt, e.g. 2026-02-13T10:00")

    def handle(self, *args, days, start, **options):
        if not 0 <= days <= 1000:
            raise CommandError("--days must be between 0 and 1000.")
        try:
            moment = datetime.datetime.fromisoformat(start)
        except ValueError as error:
            raise CommandError(f"--from is not a date and time: {start}") from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.get_default_timezone())
        found = working_days(days, moment)
        self.stdout.write(found.due_at.isoformat())
        for skipped in found.skipped:
            self.stdout.write(f"{skipped.day.isoformat()} {skipped.reason or 'cuối tuần'}")
        if found.provisional_year:
            # Beside the answer, not in it: what reads the answer finds the moment and the days alone.
            self.stderr.write(f"Tạm tính: lịch nghỉ năm {found.provisional_year} chưa được công bố.")
