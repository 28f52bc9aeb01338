"""The baseline, meant fairly: a DRF view with requests and the ORM that checks, takes the quota, forwards on kept connections,
filters and records the same. Four statements a call, Django's connection pool on, no middleware.

`gunicorn benchmarks.gateway.baseline:application`.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid

import django
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.gateway.baseline_settings")
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import exceptions  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from apps.agreements.models import Grant  # noqa: E402
from apps.gateway.models import AccessToken, CallIntent, CallOutcome, QuotaUse  # noqa: E402

LOCAL = threading.local()
DAY = 1


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request):
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = AccessToken.objects.select_related("credential__system__organization").filter(
            token_hash=hashlib.sha256(given.encode()).digest(), expires_at__gt=timezone.now(), credential__status="active"
        ).first()  # fmt: skip
        if token is None:
            raise exceptions.AuthenticationFailed
        return token.credential.system, token

    def authenticate_header(self, request):
        return "Bearer"


class HasToken(BasePermission):
    def has_permission(self, request, view):
        return request.auth is not None


class Call(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [HasToken]

    def get(self, request, service, operation, code):
        now = timezone.now()
        grant = (
            Grant.objects.select_related("operation__version", "agreement")
            .filter(system=request.user, operation__code=operation, operation__version__service__code=service, status="active",
                    agreement__status="in_force", environment="production", purpose__code=request.headers.get("X-Purpose-Code", ""),
                    valid_from__lte=now).first()
        )  # fmt: skip
        if grant is None:
            raise exceptions.PermissionDenied
        call_id = uuid.UUID(int=(int(now.timestamp() * 1000) << 80) | (uuid.uuid4().int & ((1 << 80) - 1)))
        with transaction.atomic():
            if not QuotaUse.objects.filter(grant=grant, in_day__lt=grant.quota_per_day).update(in_day=F("in_day") + 1):
                raise exceptions.Throttled
            CallIntent.objects.create(
                call_id=call_id, admitted_at=now, grant=grant, credential=request.auth.credential, epoch=1,
                request_digest=hashlib.sha256(request.path.encode()).digest(),
            )  # fmt: skip
        answer = session().get(f"{os.environ['BENCH_PROVIDER']}/{operation}/{code}", timeout=10)
        body = cut(answer.json())
        CallOutcome.objects.create(
            call_id=call_id,
            recorded_at=timezone.now(),
            outcome="delivered",
            code="",
            status=200,
            provider_status=answer.status_code,
        )
        return Response(body, headers={"X-Call-Id": str(call_id)})


GRANTED = frozenset(f"field_{number:02d}" for number in range(8))


def cut(value):
    if "items" in value:
        return {"items": [{k: v for k, v in item.items() if k in GRANTED} for item in value["items"]]}
    return {k: v for k, v in value.items() if k in GRANTED}


def session() -> requests.Session:
    if not hasattr(LOCAL, "session"):
        LOCAL.session = requests.Session()
        LOCAL.session.trust_env = False
    return LOCAL.session


urlpatterns = [path("gw/<slug:service>/v1/<slug:operation>/<int:code>", Call.as_view())]
application = WSGIHandler()
