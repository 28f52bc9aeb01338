"""The Celery application. A message is a wake-up with an id in it, never authority or data."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_ready

from lgsp import file_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
file_broker.use()
app = Celery("lgsp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def tell_the_supervisor(**_kwargs) -> None:
    """Touch the file the supervisor waits for, when there is one."""
    if os.environ.get("LGSP_READY_FILE"):
        Path(os.environ["LGSP_READY_FILE"]).touch()
