"""Releases: their list for readers, and the officers' doors of the verbs."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.catalogs import actions, render, review, unchanged
from apps.catalogs.api import questions, serializers
from apps.catalogs.api.filters import ReleaseFilter
from apps.catalogs.api.throttling import CatalogThrottle, DearThrottle
from apps.catalogs.api.views import given_tags, with_tag
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Entry, Release

DETAIL = serializers.ReleaseDetailSerializer


class Releases(generics.ListAPIView):
    """Published releases of a catalog; officers of the platform also see what waits and what was refused."""

    permission_classes = [AllowAny]
    throttle_classes = [CatalogThrottle]
    queryset = Release.objects.select_related("catalog", "published_by", "inverse_of")
    serializer_class = serializers.ReleaseSerializer
    filterset_class = ReleaseFilter

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        catalog = questions.catalog_for(self.request.user, self.kwargs["catalog"])
        return self.queryset.visible_to(self.request.user).filter(catalog=catalog)

    def get_permissions(self):
        return [IsAuthenticated()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=serializers.StageSerializer, responses={201: DETAIL})
    def post(self, request, catalog: str) -> Response:
        """Stage a list and judge it at once."""
        found = questions.catalog_for(request.user, catalog)
        given = serializers.StageSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = given.validated_data
        release = actions.stage_release(found, facts.pop("rows"), by=request.user, **facts)
        if release.status == ReleaseStatus.STAGED:
            release = actions.judge_release(release, by=request.user)
        return Response(DETAIL(release, context={"request": request}).data, status=status.HTTP_201_CREATED)


def visible_release(request, uuid) -> Release:
    rows = Release.objects.select_related("catalog", "published_by", "inverse_of").visible_to(request.user)
    return get_object_or_404(rows, uuid=uuid)


class ReleaseDetail(APIView):
    """One release."""

    permission_classes = [AllowAny]
    throttle_classes = [CatalogThrottle]

    @extend_schema(responses=DETAIL)
    def get(self, request, uuid) -> Response:
        return Response(DETAIL(visible_release(request, uuid), context={"request": request}).data)


class ReleaseDifference(APIView):
    """What a release adds, ends, renames, moves, re-uses or refuses, line by line."""

    permission_classes = [AllowAny]
    throttle_classes = [CatalogThrottle, DearThrottle]

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", OpenApiTypes.STR, enum=review.Kind.values),
            OpenApiParameter("q", OpenApiTypes.STR, description="Code or words of a name."),
            OpenApiParameter("page", OpenApiTypes.INT),
        ],
        responses=serializers.ChangeSerializer(many=True),
    )
    def get(self, request, uuid) -> Response:
        release = visible_release(request, uuid)
        kind = request.query_params.get("kind", "")
        if kind and kind not in review.Kind.values:
            raise questions.invalid("kind", ", ".join(review.Kind.values))
        page = questions.whole_number(request.query_params, "page", 1, 100_000)
        tag = unchanged.tag_by_state(request.get_full_path(), release.catalog, release.status, release.version)
        if tag.removeprefix("W/") in given_tags(request):
            return with_tag(Response(status=304), tag)
        found = review.changes(release, kind=kind, text=request.query_params.get("q", ""))
        lines = found[(page - 1) * 200 : page * 200]
        told = Response(serializers.ChangeSerializer(lines, many=True).data, headers={"X-Total-Count": str(len(found))})
        return with_tag(told, tag)


class ReleaseStep(APIView):
    """Base of the doors of one verb each."""

    permission_classes = [IsAuthenticated]
    serializer = serializers.DecisionSerializer

    def take(self, request, uuid, verb) -> Response:
        release = visible_release(request, uuid)
        given = self.serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = verb(release, by=request.user, **given.validated_data)
        return Response(DETAIL(made, context={"request": request}).data)


class PublishRelease(ReleaseStep):
    """Make a waiting release live; a held one needs each of its reasons in `accept`."""

    serializer = serializers.PublishSerializer

    @extend_schema(request=serializers.PublishSerializer, responses=DETAIL)
    def post(self, request, uuid) -> Response:
        return self.take(request, uuid, actions.publish_release)


class RejectRelease(ReleaseStep):
    """Refuse a waiting release."""

    @extend_schema(request=serializers.DecisionSerializer, responses=DETAIL)
    def post(self, request, uuid) -> Response:
        return self.take(request, uuid, actions.reject_release)


class UndoRelease(ReleaseStep):
    """Publish the inverse of a release; answers with the new release."""

    @extend_schema(request=serializers.DecisionSerializer, responses=DETAIL)
    def post(self, request, uuid) -> Response:
        return self.take(request, uuid, actions.undo_release)


class CorrectItem(APIView):
    """Put right an entry that was wrong from the beginning; what was answered before can still be asked by `known_at`."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=serializers.CorrectionSerializer, responses=serializers.ItemSerializer)
    def post(self, request, catalog: str, level: str, code: str) -> Response:
        found = questions.catalog_for(request.user, catalog)
        given = serializers.CorrectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = given.validated_data
        entry = Entry.objects.valid_on(facts["valid_on"]).filter(catalog=found, level=level, code=code).first()
        if entry is None:
            raise questions.UnknownCode(item=code)
        made = actions.correct_entry(
            entry, by=request.user, note=facts["note"], instrument=facts.get("instrument", ""), **_named(facts["facts"])
        )
        return Response(item_of(made))


def _named(facts: dict) -> dict:
    if unknown := set(facts) - set(actions.CORRECTABLE):
        raise questions.invalid(sorted(unknown)[0], "cannot be corrected")
    return facts


def item_of(entry: Entry) -> dict:
    row = (
        entry.code, entry.level, entry.name, entry.full_name, entry.parent_level, entry.parent_code, entry.valid_from, entry.valid_to,
        entry.attributes, entry.recorded_in,
    )  # fmt: skip
    return render.item(entry.catalog, row)
