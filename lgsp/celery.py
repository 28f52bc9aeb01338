"""The Celery application. A message is a wake-up with an id in it, never authority or data."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
app = Celery("lgsp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
