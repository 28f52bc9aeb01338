"""Wiring only: settings, URLs and the processes' entry points. No rules live here."""

from lgsp.celery import app as celery_app  # every process must know the broker, or `delay` would look for another

__all__ = ["celery_app"]
