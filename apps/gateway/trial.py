"""Trying an operation from the portal: the very call a consumer's system would send, through the real gateway.

Only in the test environment, only with an account of one's own agency. The secret is used for one token and forgotten:
it is neither stored, nor logged, nor put in an audit event; the token ends with the call.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.agreements.choices import CredentialStatus, GrantStatus
from apps.agreements.models import Credential, Grant
from apps.audit import actions as audit
from apps.core import outbound
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing, InvalidFact, NotPermitted
from apps.gateway.models import AccessToken
from apps.gateway.tokens import hash_token
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids
from apps.registry.choices import Environment, ParameterLocation
from apps.registry.models import DataService, Operation

SECONDS = 20.0
MOST_BYTES = 512 * 1024
SHOWN_HEADERS = ("content-type", "x-call-id", "x-withheld-fields", "retry-after")


@dataclass(frozen=True)
class Trial:
    """What came back. `problem` holds the gateway's refusal when it is one; `body` is text for reading."""

    status: int
    milliseconds: int
    call: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    problem: dict | None = None

    @property
    def withheld(self) -> list[str]:
        """Fields of the service that the agreement does not grant, whether the provider sent them or not."""
        return [name for name in self.headers.get("x-withheld-fields", "").split(", ") if name]


def accounts(user, service: DataService) -> QuerySet[Credential]:
    """Test accounts with which `user` may try `service`: collected ones of own systems that have test access to it."""
    systems = Grant.objects.filter(
        operation__version__service=service, environment=Environment.TEST, system__organization__in=organization_ids(user, Role.CONSUMER_OFFICER)
    ).exclude(status=GrantStatus.ENDED)  # fmt: skip
    return (
        Credential.objects.visible_to(user)
        .filter(environment=Environment.TEST, status=CredentialStatus.ACTIVE, system__in=systems.values("system"))
        .select_related("system__organization")
        .order_by("system__sort_key", "id")
    )


def try_operation(operation: Operation, values: dict[str, str], *, by, credential: Credential, secret: str) -> Trial:
    """Call `operation` with the parameters `values` (empty ones are left out), as the system of `credential` would.

    Raises NotPermitted for an account that is not the person's to use or not of the test environment, FactMissing for a
    parameter of the path left empty, InvalidFact (`token_refused`) when the gateway gives no token, OutboundError.
    """
    service = operation.version.service
    if not accounts(by, service).filter(pk=credential.pk).exists():
        raise NotPermitted(_("Only a test account of your own agency can be used here."), code="not_a_test_account")
    path = _path(operation, values)
    token = _token(credential, secret)
    begun = time.monotonic()
    try:
        answer = outbound.ask_gateway(
            operation.method, path, headers=_headers(operation, credential, token), total=SECONDS, max_bytes=MOST_BYTES
        )
    finally:
        _forget(credential, token)
    trial = _read(answer, round(1000 * (time.monotonic() - begun)), f"{operation.method} {path}")
    _note(credential, operation, trial, by=by)
    return trial


def _path(operation: Operation, values: dict[str, str]) -> str:
    path, query, absent = operation.path_template, {}, {}
    for parameter in operation.parameters.all():
        value = values.get(parameter.name, "").strip()
        if parameter.location == ParameterLocation.PATH:
            path = path.replace(f"{{{parameter.name}}}", quote(value, safe=""))
            absent |= {} if value else {parameter.name: [_("This field is required.")]}
        elif value:
            query[parameter.name] = value
    if absent:
        raise FactMissing(fields=absent)
    version = operation.version
    return f"/gw/{version.service.code}/v{version.major}{path}" + (f"?{urlencode(query)}" if query else "")


def _token(credential: Credential, secret: str) -> str:
    pair = base64.b64encode(f"{quote(credential.client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = outbound.ask_gateway(
        "POST", "/oauth/token", headers=headers, body=b"grant_type=client_credentials", total=SECONDS, max_bytes=65_536
    )
    try:
        token = json.loads(answer.body).get("access_token", "") if answer.status == 200 else ""
    except (ValueError, AttributeError):
        token = ""
    if not token:
        raise InvalidFact(
            _("The gateway gave no token: the secret is not right, or the account no longer holds."), code="token_refused",
            fields={"secret": [_("Enter the secret of this account.")]},
        )  # fmt: skip
    return token


def _headers(operation: Operation, credential: Credential, token: str) -> dict[str, str]:
    grant = Grant.objects.filter(system=credential.system, operation=operation, environment=Environment.TEST)
    purpose = grant.filter(is_planned=False).exclude(status=GrantStatus.ENDED).values_list("purpose__code", flat=True).first()
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": get_language() or "vi", "Accept": "application/json"}
    if purpose:
        headers["X-Purpose-Code"] = purpose
    if operation.method != "GET":
        headers["Idempotency-Key"] = str(uuid.uuid4())
    return headers


@transaction.atomic
def _forget(credential: Credential, token: str) -> None:
    """The token served one call. Left alone it would open others until it ends; the epoch tells gateways that remember it."""
    AccessToken.objects.filter(token_hash=hash_token(token)).update(revoked_at=timezone.now())
    raise_epoch("accesstoken", credential.uuid)


def _read(answer: outbound.Answer, milliseconds: int, call: str) -> Trial:
    headers = {name: answer.headers[name] for name in SHOWN_HEADERS if name in answer.headers}
    text = answer.body.decode("utf-8", errors="replace")
    problem = None
    try:
        value = json.loads(text)
        text = json.dumps(value, ensure_ascii=False, indent=2)
        problem = value if "problem+json" in headers.get("content-type", "") and isinstance(value, dict) else None
    except (ValueError, RecursionError):
        pass
    return Trial(answer.status, milliseconds, call, headers, text[:100_000], problem)


@transaction.atomic
def _note(credential: Credential, operation: Operation, trial: Trial, *, by) -> None:
    """Who tried what. Neither the parameters nor the answer: they may name a person."""
    service = operation.version.service
    audit.record(
        "operation.tried", credential, by=by, organizations=[credential.system.organization], service=service.code,
        operation=operation.code, status=trial.status, call_id=trial.headers.get("x-call-id", ""),
    )  # fmt: skip
