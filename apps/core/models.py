"""Bases of all models, and the policy epoch."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class TimedModel(models.Model):
    """A row with a public UUID (primary keys never leave the house) and its times."""

    uuid = models.UUIDField(_("identifier"), default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True


class VersionedModel(TimedModel):
    """A row that people edit: `version` rises with every change, so that a form opened before it is refused (CC-03)."""

    version = models.PositiveIntegerField(_("version"), default=1, editable=False)

    class Meta:
        abstract = True


class StatefulModel(VersionedModel):
    """A row with a lifecycle: subclasses add `status`."""

    class Meta:
        abstract = True


class PolicyEpoch(models.Model):
    """One row: the number every admitted call must have decided on (`design/gateway.md`, step 3)."""

    singleton = models.BooleanField(primary_key=True, default=True, editable=False)
    epoch = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(singleton=True), name="core_policyepoch_one_row")]

    def __str__(self) -> str:
        return str(self.epoch)


class PolicyChange(models.Model):
    """What moved with an epoch, so that a gateway can load just that."""

    epoch = models.BigIntegerField(db_index=True)
    kind = models.CharField(max_length=40)
    ref = models.UUIDField(null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["epoch", "id"]

    def __str__(self) -> str:
        return f"{self.epoch} {self.kind} {self.ref}"


class NumberSeries(models.Model):
    """The last number given in a series (`core.numbers`)."""

    key = models.CharField(max_length=40, primary_key=True)
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.key}: {self.last}"
