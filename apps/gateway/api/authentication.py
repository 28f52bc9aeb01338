"""Systems use the API by the token of the gateway, on endpoints that name `SystemTokenAuthentication`."""

from __future__ import annotations

import hashlib
import re

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions

from apps.accounts.models import User
from apps.agreements.choices import CredentialStatus
from apps.gateway.models import AccessToken
from apps.organizations.choices import OrganizationStatus, SystemStatus

_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]{20,200})")


class SystemTokenAuthentication(authentication.BaseAuthentication):
    """`request.user` is the system's machine user (no roles, so `visible_to` shows it nothing), `request.auth` its AccessToken.

    Judged from the rows for every request: account, system and organization must be active. A token that is bound to a
    client certificate is not taken here, because this process cannot see the certificate.
    """

    def authenticate(self, request):
        match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            return None
        token = AccessToken.objects.select_related("credential__system__organization").filter(
            token_hash=hashlib.sha256(match[1].encode()).digest()
        ).first()  # fmt: skip
        if token is None or not _is_good(token):
            raise exceptions.AuthenticationFailed(code="token_invalid")
        return User.objects.machine(f"system:{token.credential.system.code}"), token

    def authenticate_header(self, request) -> str:
        return "Bearer"


def _is_good(token: AccessToken) -> bool:
    now, credential = timezone.now(), token.credential
    system = credential.system
    return (
        token.revoked_at is None
        and token.expires_at > now
        and not token.certificate_hash
        and credential.status == CredentialStatus.ACTIVE
        and not credential.certificate_hash
        and (credential.expires_at is None or credential.expires_at > now)
        and system.status == SystemStatus.ACTIVE
        and system.organization.status == OrganizationStatus.ACTIVE
    )


class IsSystem(permissions.BasePermission):
    """The caller came with a system's token."""

    def has_permission(self, request, view) -> bool:
        return isinstance(request.auth, AccessToken)


class SystemTokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document names the system's token."""

    target_class = "apps.gateway.api.authentication.SystemTokenAuthentication"
    name = "system_token"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}}}
