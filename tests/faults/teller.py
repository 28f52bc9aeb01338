"""A process that does one act of a person: `python -m tests.faults.teller <user name> <how often>`; every act tells a fact."""

import sys

import django

django.setup()

from django.db import transaction  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.notices.actions import notify  # noqa: E402

if __name__ == "__main__":
    person = User.objects.get(username=sys.argv[1])
    for number in range(int(sys.argv[2])):
        with transaction.atomic():
            notify([person], "fact", key=f"fact:{number}", message="Request %(number)s awaits your decision.", number=number)
    print("done")
