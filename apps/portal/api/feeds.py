"""The door of the feed of changed enterprises: sync keeps the changes, the gateway judges, counts and records each reading."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from apps.gateway import problems, readings
from apps.gateway.api.authentication import IsSystem, SystemTokenAuthentication
from apps.gateway.refusals import Refused
from apps.legal.models import LegalBasis
from apps.sync import feed
from apps.sync.api.serializers import EnterpriseChangeSerializer, EnterpriseFeedSerializer, FeedQuestionSerializer
from apps.sync.choices import SourceKind
from apps.sync.models import Source

PURPOSE = OpenApiParameter(
    "X-Purpose-Code",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Needed where the system has rights for several purposes.",
)


class EnterpriseChanges(APIView):
    """The feed of changed enterprises, for systems with a production grant to the dossier list. Resumable by `since`.

    Each reading is a call of that grant: it counts in its quotas and is in the access log under the answer's `X-Call-Id`.
    """

    authentication_classes = [SystemTokenAuthentication]
    permission_classes: list[type[BasePermission]] = [IsSystem]

    @extend_schema(operation_id="sync_enterprise_changes_retrieve", parameters=[FeedQuestionSerializer, PURPOSE],
                   responses=EnterpriseFeedSerializer)  # fmt: skip
    def get(self, request, code: str) -> HttpResponse:
        """Codes changed after the position `since`, oldest first. Without a right that holds now: the gateway's refusals."""
        asked = FeedQuestionSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        source = get_object_or_404(Source, code=code, kind=SourceKind.CHANGES)
        reading = readings.Reading(
            request.auth, feed.operations(source), request.get_full_path(),
            request.headers.get("X-Purpose-Code", "").strip()[:40], source_address(request),
        )  # fmt: skip
        try:
            grant = readings.admit(reading, lambda fields: bool(feed.members(fields)))
            body = _part(source, grant.fields, **asked.validated_data)
            shown, all_there_is = feed.paths_of(grant.fields), feed.paths_of(reading.operation.fields)
            if not readings.record(reading, body, shown, set(all_there_is) - set(shown)):
                raise Refused("record_failed")
        except Refused as refused:
            return _refusal(request, reading, refused)
        return _answer(reading, HttpResponse(body, content_type="application/json"))


def _part(source: Source, fields, since: int, limit: int) -> bytes:
    changes, more = feed.read(source, since, limit)
    rows = EnterpriseChangeSerializer(changes, many=True, context={"members": feed.members(fields)}).data
    after = changes[-1].id if changes else since
    return JSONRenderer().render({"changes": rows, "next": after, "more": more, "complete_until": source.watermark})


def _refusal(request, reading: readings.Reading, refused: Refused) -> HttpResponse:
    """As the gateway tells it: what is wrong, on what clause, and the page that mends it."""
    first = reading.operations[0] if reading.operations else None
    about = {
        "system": reading.system.code, "purpose": reading.purpose, "operation": first.code if first else "",
        "service": first.version.service.code if first else "", "agreement": str(refused.facts.get("agreement", "")),
    }  # fmt: skip
    facts = {**refused.facts, "status": refused.row.status}
    clause = LegalBasis.objects.citations(timezone.localdate()).get(refused.row.basis, "")
    body = problems.build(refused.row, request.LANGUAGE_CODE, reading.call_id, facts, about, clause)
    answer = HttpResponse(body, status=refused.row.status, content_type=problems.CONTENT_TYPE.decode())
    if wait := refused.facts.get("retry_after", refused.row.retry_after):
        answer["Retry-After"] = str(wait)
    return _answer(reading, answer)


def _answer(reading: readings.Reading, answer: HttpResponse) -> HttpResponse:
    answer["X-Call-Id"], answer["Cache-Control"] = reading.call_id, "no-store"
    return answer


def source_address(request) -> str:
    """The caller's address; behind a proxy we trust, the one the proxy saw."""
    peer = request.META.get("REMOTE_ADDR", "")
    if peer in settings.TRUSTED_PROXIES:
        return request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer
    return peer
