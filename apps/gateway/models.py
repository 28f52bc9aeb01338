"""The tables of the data plane.

`call_intent`, `call_outcome` and `call_refusal` are partitioned by month of the call id (a UUIDv7, so its order is
its time): one primary key serves uniqueness, time ranges and look-ups, and dropping a month is how retention works.
They are written by asyncpg (`ledger`), read here. Rows are append-only; triggers refuse UPDATE and DELETE.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Credential, Grant
from apps.gateway.choices import Outcome
from apps.gateway.querysets import CallQuerySet, ProcessQuerySet, RefusalQuerySet
from apps.organizations.models import InformationSystem
from apps.registry.models import DataService, Operation


class FieldSet(models.Model):
    """A set of field names, stored once; outcomes name it by its id."""

    digest = models.BinaryField(max_length=32, unique=True)
    names = ArrayField(models.CharField(max_length=300), verbose_name=_("fields"))

    class Meta:
        verbose_name = _("set of fields")
        verbose_name_plural = _("sets of fields")

    def __str__(self) -> str:
        return ", ".join(self.names)


class CallIntent(models.Model):
    """One admitted call: committed before the provider is contacted. The grant says who, what, why and under which agreement."""

    call_id = models.UUIDField(_("call id"), primary_key=True)
    admitted_at = models.DateTimeField(_("admitted at"))
    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.DO_NOTHING, related_name="calls", db_constraint=False, db_index=False
    )
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )  # fmt: skip
    epoch = models.BigIntegerField(_("policy epoch"))
    request_digest = models.BinaryField(_("keyed digest of the request"), max_length=32)
    source = models.GenericIPAddressField(_("from address"), null=True)
    trace_id = models.UUIDField(_("trace"), null=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        db_table = "call_intent"
        ordering = ["-call_id"]
        indexes = [models.Index(fields=["grant", "call_id"], name="call_intent_grant")]

    def __str__(self) -> str:
        return str(self.call_id)


class CallOutcome(models.Model):
    """How an admitted call ended: committed before the first byte of the answer. Exactly one an intent."""

    call = models.OneToOneField(
        CallIntent, primary_key=True, on_delete=models.DO_NOTHING, db_column="call_id", related_name="outcome", db_constraint=False
    )  # fmt: skip
    recorded_at = models.DateTimeField(_("recorded at"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    code = models.CharField(_("code"), max_length=40, blank=True)
    status = models.SmallIntegerField(_("status given to the consumer"))
    provider_status = models.SmallIntegerField(_("status of the provider"), null=True)
    request_bytes = models.IntegerField(_("bytes of the request"), default=0)
    provider_bytes = models.IntegerField(_("bytes from the provider"), default=0)
    answer_bytes = models.IntegerField(_("bytes of the answer"), default=0)
    provider_us = models.IntegerField(_("time of the provider (µs)"), default=0)
    total_us = models.IntegerField(_("time in all (µs)"), default=0)
    answer_digest = models.BinaryField(_("digest of the answer (SHA-256)"), max_length=32, null=True)
    delivered = models.ForeignKey(
        FieldSet, on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    withheld = models.ForeignKey(
        FieldSet, on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    subject = models.BinaryField(_("pseudonym of the data subject"), max_length=16, null=True)

    class Meta:
        verbose_name = _("call outcome")
        verbose_name_plural = _("call outcomes")
        db_table = "call_outcome"

    def __str__(self) -> str:
        return f"{self.call_id} {self.outcome}"


class CallRefusal(models.Model):
    """A call of a known credential that was refused before admission."""

    call_id = models.UUIDField(_("call id"), primary_key=True)
    refused_at = models.DateTimeField(_("refused at"))
    code = models.CharField(_("code"), max_length=40)
    status = models.SmallIntegerField(_("status"))
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), on_delete=models.DO_NOTHING, null=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    system = models.ForeignKey(
        InformationSystem, verbose_name=_("system"), on_delete=models.DO_NOTHING, null=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    service = models.ForeignKey(
        DataService, verbose_name=_("service"), on_delete=models.DO_NOTHING, null=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    operation = models.ForeignKey(
        Operation, verbose_name=_("operation"), on_delete=models.DO_NOTHING, null=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.DO_NOTHING, null=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    method = models.CharField(_("method"), max_length=8)
    asked_service = models.CharField(_("service asked for"), max_length=60, blank=True)
    asked_purpose = models.CharField(_("purpose named"), max_length=40, blank=True)
    epoch = models.BigIntegerField(_("policy epoch"))
    source = models.GenericIPAddressField(_("from address"), null=True)

    objects = RefusalQuerySet.as_manager()

    class Meta:
        verbose_name = _("refused call")
        verbose_name_plural = _("refused calls")
        db_table = "call_refusal"
        ordering = ["-call_id"]
        indexes = [models.Index(fields=["system", "call_id"], name="call_refusal_system")]

    def __str__(self) -> str:
        return f"{self.call_id} {self.code}"


class AnonymousRefusalCount(models.Model):
    """Refusals of callers nobody knows, counted by minute, code and network (/24, /48): a flood is not written one by one."""

    minute = models.DateTimeField(_("minute"))
    code = models.CharField(_("code"), max_length=40)
    network = models.CharField(_("network"), max_length=50)
    count = models.BigIntegerField(_("count"), default=0)

    class Meta:
        verbose_name = _("count of refused strangers")
        verbose_name_plural = _("counts of refused strangers")
        ordering = ["-minute", "code"]
        constraints = [models.UniqueConstraint(fields=["minute", "code", "network"], name="gateway_anonymousrefusalcount_once")]

    def __str__(self) -> str:
        return f"{self.minute} {self.code} {self.network}: {self.count}"


class QuotaUse(models.Model):
    """What a grant has used in its present second, day and month: one row a grant, locked by each admission.

    The windows (Unix second, day and month of Vietnamese time) only rise, so none is reopened by a process that lags.
    `taken` and the caps are what the last statement took and was allowed to take.
    """

    grant = models.OneToOneField(Grant, primary_key=True, on_delete=models.CASCADE, related_name="use", db_constraint=False)
    at = models.DateTimeField()
    second = models.BigIntegerField()
    day = models.IntegerField()
    month = models.IntegerField()
    in_second = models.IntegerField()
    in_day = models.IntegerField()
    in_month = models.IntegerField()
    taken = models.IntegerField()
    cap_second = models.IntegerField()
    cap_day = models.IntegerField()
    cap_month = models.IntegerField()

    class Meta:
        verbose_name = _("quota in use")
        verbose_name_plural = _("quotas in use")

    def __str__(self) -> str:
        return f"{self.grant_id}: {self.in_day}"


class IdempotencyKey(models.Model):
    """The first call of a system under a key (kept as a hash): the repeat does not reach the provider."""

    system = models.ForeignKey(
        InformationSystem, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    key_hash = models.BinaryField(max_length=32)
    request_digest = models.BinaryField(max_length=32)
    call_id = models.UUIDField()
    made_at = models.DateTimeField(db_default=models.functions.Now())

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["system", "key_hash"], name="gateway_idempotencykey_once")]
        indexes = [models.Index(fields=["made_at"], name="gateway_idempotencykey_made")]

    def __str__(self) -> str:
        return f"{self.system_id} {self.call_id}"


class AccessToken(models.Model):
    """An opaque bearer token, kept only as a hash; optionally bound to a client certificate (RFC 8705)."""

    token_hash = models.BinaryField(max_length=32, primary_key=True)
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="tokens")
    certificate_hash = models.CharField(max_length=64, blank=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        indexes = [models.Index(fields=["expires_at"], name="gateway_accesstoken_expires")]

    def __str__(self) -> str:
        return f"{self.credential} {self.issued_at:%d/%m/%Y %H:%M}"


class GatewayProcess(models.Model):
    """What a gateway process last told of itself (`heartbeat`). For people to see; nothing is decided from it.

    `pauses` lists the providers whose circuit breaker is open there: upstream, code, since, next_try.
    """

    id = models.UUIDField(primary_key=True)
    name = models.CharField(_("process"), max_length=200)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("last heard of"))
    epoch = models.BigIntegerField(_("policy epoch"))
    policy = models.CharField(_("policy"), max_length=80)
    grants = models.IntegerField(_("grants"))
    running = models.IntegerField(_("calls running"))
    draining = models.BooleanField(_("stopping"))
    faults = ArrayField(models.CharField(max_length=40), verbose_name=_("faults"))
    pauses = models.JSONField(_("paused providers"))

    objects = ProcessQuerySet.as_manager()

    class Meta:
        verbose_name = _("gateway process")
        verbose_name_plural = _("gateway processes")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CodeTable(models.Model):
    """What became of a catalog's codes between two days (ISO; empty: today), as `catalogs.lineage` says. Read by the gateways.

    `catalog_code` may name one level: `administrative-units/commune`. `made_on` is the day that "today" was.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    catalog_code = models.CharField(_("catalog"), max_length=60)
    day_from = models.CharField(_("codes of the day"), max_length=10, blank=True)
    day_to = models.CharField(_("to the day"), max_length=10, blank=True)
    release = models.PositiveIntegerField(_("release"))
    made_on = models.DateField(_("made on"))
    content = models.BinaryField()

    class Meta:
        verbose_name = _("table of codes")
        verbose_name_plural = _("tables of codes")
        constraints = [models.UniqueConstraint(fields=["catalog_code", "day_from", "day_to"], name="gateway_codetable_once")]

    def __str__(self) -> str:
        return f"{self.catalog_code} {self.day_from} → {self.day_to}"


class SweepMark(models.Model):
    """Up to which call id every intent is known to have its outcome."""

    singleton = models.BooleanField(primary_key=True, default=True, editable=False)
    swept_until = models.UUIDField()
    swept_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(singleton=True), name="gateway_sweepmark_one_row")]

    def __str__(self) -> str:
        return str(self.swept_until)
