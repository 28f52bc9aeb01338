"""The registry's one scheduled task: what is due is decided by rows."""

from __future__ import annotations

from celery import shared_task

from apps.registry import clock, health


@shared_task(name="registry.clock", ignore_result=True)
def tick() -> None:
    clock.remind()
    health.probe_due()
