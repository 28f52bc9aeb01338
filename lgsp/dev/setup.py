"""Brings the database up to date before the processes start: migrations, then the demonstration province.

Run by the supervisor as `python -m lgsp.dev.setup SUMMARY`; `load_demo` does nothing where it was loaded before. What
`make run` prints at the end goes to the file SUMMARY, because another start of Django would take another two seconds.
"""

from __future__ import annotations

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # empty in development; whitenoise asks for it
    call_command("migrate", interactive=False, verbosity=0)
    call_command("load_demo")
    with open(sys.argv[1], "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as summary:
        call_command("demo_summary", stdout=summary)


if __name__ == "__main__":
    main()
