"""The provider's addresses. Judged when saved, judged again at every connect; the secret goes in and never comes out."""

from __future__ import annotations

import json

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core import egress
from apps.core.changes import save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact, StaleVersion
from apps.core.permissions import require
from apps.core.upstream_auth import read_auth
from apps.core.workflow import came_second
from apps.registry.choices import Environment, UpstreamAuth, VersionStatus
from apps.registry.models import ServiceVersion, Upstream
from apps.registry.querysets import LIVE

LIMITS = ("timeout_ms", "max_response_bytes", "max_concurrency")
_SETTINGS = {"token_url"}


@transaction.atomic
def set_upstream(
    version: ServiceVersion,
    environment: str,
    *,
    by,
    base_url: str,
    auth_kind: str = UpstreamAuth.NONE,
    auth_settings: dict | None = None,
    secret: dict | str | None = None,
    revision: int | None = None,
    **limits: int,
) -> Upstream:
    """Set the address of `version` in `environment`, with what the gateway shows there.

    `auth_settings` holds what is not secret (`token_url`); `secret` is a JSON object as `core.upstream_auth` reads it
    ({"consumer_key", "consumer_secret"}, {"username", "password"}, {"token"}, {"headers": {…}}, {"username", "secret_key",
    "auth_url", "timestamp_unit"?, "headers"?}); None keeps the stored
    one, which is possible only while it would be sent to the same hosts. `limits`: timeout_ms, max_response_bytes,
    max_concurrency. `revision` is that of the address the caller saw, 0 where there was none. Raises NotPermitted,
    EgressRefused, InvalidFact, StaleVersion, Conflict.
    """
    require(by, "registry.set_upstream", version)
    version.refresh_from_db(from_queryset=ServiceVersion.objects.select_for_update(no_key=True))
    if version.status == VersionStatus.RETIRED:
        raise came_second(version, _("The version is retired."), Conflict, code="version_retired")
    if environment not in Environment.values:
        raise InvalidFact(fields={"environment": [_("Choose test or production.")]})
    if unknown := set(limits) - set(LIMITS):
        raise InvalidFact(fields={name: [_("This cannot be changed.")] for name in sorted(unknown)})
    upstream = version.upstreams.filter(environment=environment).first() or Upstream(version=version, environment=environment)
    stored = upstream.revision if upstream.pk else 0
    if revision is not None and revision != stored:
        raise came_second(upstream, _("The address was set by somebody else meanwhile."), StaleVersion, revision=stored)
    settings = _read_settings(auth_settings)
    text = _read_secret(upstream, auth_kind, base_url, settings, secret)
    _check_addresses(auth_kind, base_url, settings, text)
    upstream.base_url, upstream.auth_kind, upstream.auth_settings, upstream.secret = base_url, auth_kind, settings, text
    for name, value in limits.items():
        setattr(upstream, name, value)
    _check_limits(upstream)
    upstream.revision = stored + 1
    save_valid(upstream)
    if version.status in LIVE:
        raise_epoch("upstream", upstream.uuid)
    audit.record("upstream.set", upstream, by=by, organizations=[version.service.provider], environment=environment,
                 base_url=base_url, auth_kind=auth_kind, secret_given=secret is not None)  # fmt: skip
    return upstream


def _read_settings(given: dict | None) -> dict:
    settings = given or {}
    if not isinstance(settings, dict) or set(settings) - _SETTINGS or not all(isinstance(v, str) for v in settings.values()):
        raise InvalidFact(fields={"auth_settings": [_("Only token_url may be given here; secrets have their own field.")]})
    return {key: value for key, value in settings.items() if value}


def _read_secret(upstream: Upstream, auth_kind: str, base_url: str, settings: dict, given: dict | str | None) -> str:
    """The text for the encrypted column. A stored secret is never sent anywhere else than where it was meant for."""
    if auth_kind == UpstreamAuth.NONE:
        return ""
    if given is not None:
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    if upstream.pk and upstream.secret and _hosts(upstream.base_url, upstream.auth_settings) != _hosts(base_url, settings):
        raise InvalidFact(_("The address changed: enter the secret again."), code="secret_needed",
                          fields={"secret": [_("This is required.")]})  # fmt: skip
    return upstream.secret


def _check_addresses(auth_kind: str, base_url: str, settings: dict, secret: str) -> None:
    if auth_kind not in UpstreamAuth.values:
        raise InvalidFact(fields={"auth_kind": [_("Choose one of the kinds of authentication.")]})
    target = egress.check_url(base_url)
    if "?" in target.path:
        raise InvalidFact(fields={"base_url": [_("The address carries no query: parameters are declared in the contract.")]})
    if settings.get("token_url"):
        egress.check_url(settings["token_url"])
    read_auth(auth_kind, secret, settings.get("token_url", ""))


def _check_limits(upstream: Upstream) -> None:
    bounds = {"timeout_ms": (100, 25_000), "max_response_bytes": (1_000, 100_000_000), "max_concurrency": (1, 1_000)}
    wrong = {
        name: [_("From %(low)d to %(high)d.") % {"low": low, "high": high}]
        for name, (low, high) in bounds.items()
        if not isinstance(getattr(upstream, name), int) or not low <= getattr(upstream, name) <= high
    }
    if wrong:
        raise InvalidFact(fields=wrong)


def _hosts(base_url: str, settings: dict) -> tuple[str, str]:
    """Where a secret would travel: scheme, host and port of the address and of the token endpoint."""
    token_url = settings.get("token_url", "")
    return _origin(base_url), _origin(token_url) if token_url else ""


def _origin(url: str) -> str:
    target = egress.parse(url)
    return f"{target.scheme}://{target.host}:{target.port}"
