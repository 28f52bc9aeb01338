"""Doors of the crosswalk: a code's counterparts in another table, one or many, the whole table of lines, and the preferred table."""

from __future__ import annotations

import orjson
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.catalogs import preference
from apps.catalogs.api import questions
from apps.catalogs.api.serializers import MAX_CODES, CatalogSerializer
from apps.catalogs.api.views import KNOWN_AT, LEVEL, PublicView, level_of, valid
from apps.catalogs.calendar import today
from apps.catalogs.choices import CrosswalkResult, Relation
from apps.catalogs.crosswalk import Crosswalk
from apps.catalogs.models import Catalog

PAGE_SIZE = 100


class CounterpartSerializer(serializers.Serializer):
    code = serializers.CharField()
    level = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    holds = serializers.BooleanField(help_text="False: the other table has no such code on that day.")
    relation = serializers.ChoiceField(
        choices=Relation.choices, help_text="How the counterpart relates to the code asked about."
    )
    valid_from = serializers.DateField()
    valid_to = serializers.DateField(allow_null=True)
    legal_basis = serializers.CharField(allow_null=True)
    note = serializers.CharField(allow_blank=True)


class CrosswalkAnswerSerializer(serializers.Serializer):
    result = serializers.ChoiceField(choices=CrosswalkResult.choices)
    counterparts = CounterpartSerializer(many=True)
    legal_basis = serializers.CharField(
        required=False, allow_null=True, help_text="With `none`: who says that nothing corresponds."
    )


class CrosswalkAnswerLineSerializer(CrosswalkAnswerSerializer):
    code = serializers.CharField()


class BulkCrosswalkSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    other = serializers.CharField()
    on = serializers.DateField()
    release = serializers.IntegerField()
    results = CrosswalkAnswerLineSerializer(many=True)


class CrosswalkLineSerializer(serializers.Serializer):
    code = serializers.CharField()
    level = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    counterpart = CounterpartSerializer()


class CrosswalkPageSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    other = serializers.CharField()
    on = serializers.DateField()
    count = serializers.IntegerField()
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    lines = CrosswalkLineSerializer(many=True)


class _TablesSerializer(serializers.Serializer):
    """What every question names: `to`, and a day (today when absent)."""

    on = serializers.DateField(required=False)
    known_at = serializers.CharField(required=False)
    to = serializers.CharField(max_length=60)


class CrosswalkQuestionSerializer(_TablesSerializer):
    level = serializers.CharField(max_length=30, required=False, help_text="Needed where the catalog has several levels.")
    code = serializers.CharField(max_length=60)


class CrosswalkBulkQuestionSerializer(_TablesSerializer):
    level = serializers.CharField(max_length=30, required=False, help_text="Needed where the catalog has several levels.")
    codes = serializers.ListField(child=serializers.CharField(max_length=60), max_length=MAX_CODES, allow_empty=False)


class PreferSerializer(serializers.Serializer):
    over = serializers.CharField(max_length=60, help_text="Code of a table that tells the same things.")
    basis = serializers.CharField(max_length=300)


class PartSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=1000)


def crosswalk_for(user, catalog: str, given: dict) -> Crosswalk:
    """The two tables as known then. A release number in `known_at` is one of `catalog`, and means the moment it was published."""
    mine, other = questions.catalog_for(user, catalog), _other(user, catalog, given["to"])
    known_at = given.get("known_at")
    number = questions.known_number(mine, known_at)
    if known_at and known_at.isascii() and known_at.isdigit():
        moment = mine.releases.live().filter(number=number).values_list("published_at", flat=True).first()
        other_number = other.releases.number_at(moment) if moment else 0
    else:
        other_number = questions.known_number(other, known_at)
    return Crosswalk(mine, other, given.get("on") or today(), number, other_number)


def _other(user, catalog: str, code: str) -> Catalog:
    if code == catalog or not Catalog.objects.filter(code=code).exists():
        raise questions.invalid("to", questions.UNKNOWN_TABLE % {"code": code})
    return questions.catalog_for(user, code)


_TO = OpenApiParameter("to", OpenApiTypes.STR, required=True, description="Code of the other table.")
_ON = OpenApiParameter("on", OpenApiTypes.DATE, description="The day on which the lines hold; today when absent.")


class CodeCrosswalk(PublicView):
    """A code's counterparts in another table: `exact`, `many`, `none` or `unknown`. Never a silent pick."""

    @extend_schema(
        operation_id="catalogs_crosswalk",
        parameters=[_TO, OpenApiParameter("code", OpenApiTypes.STR, required=True), LEVEL, _ON, KNOWN_AT],
        responses=CrosswalkAnswerSerializer,
    )
    def get(self, request, catalog: str) -> HttpResponse:
        given = valid(CrosswalkQuestionSerializer, request.query_params)
        asked = crosswalk_for(request.user, catalog, given)
        (answer,) = asked.ask([(level_of(asked.catalog, given), given["code"])])
        return _json(answer)

    @extend_schema(
        operation_id="catalogs_crosswalk_many", request=CrosswalkBulkQuestionSerializer, responses=BulkCrosswalkSerializer
    )
    def post(self, request, catalog: str) -> HttpResponse:
        given = valid(CrosswalkBulkQuestionSerializer, request.data)
        asked = crosswalk_for(request.user, catalog, given)
        level, codes = level_of(asked.catalog, given), given["codes"]
        answers = asked.ask((level, code) for code in codes)
        lines = [{"code": code, **answer} for code, answer in zip(codes, answers, strict=True)]
        return _json({**_tables(asked), "release": asked.number, "results": lines})


class CrosswalkLines(PublicView):
    """All lines between two tables that hold on a day, a hundred a page."""

    @extend_schema(
        operation_id="catalogs_crosswalk_lines",
        parameters=[_TO, _ON, KNOWN_AT, OpenApiParameter("page", OpenApiTypes.INT)],
        responses=CrosswalkPageSerializer,
    )
    def get(self, request, catalog: str) -> HttpResponse:
        asked = crosswalk_for(request.user, catalog, valid(_TablesSerializer, request.query_params, also=("page",)))
        page = questions.whole_number(request.query_params, "page", 1, 1_000_000)
        lines, count = asked.lines(limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
        if page > 1 and not lines:
            raise questions.invalid("page", questions.FEWER_PAGES)
        return _json({**_tables(asked), "count": count, "page": page, "pages": max(1, -(-count // PAGE_SIZE)), "lines": lines})


def _tables(asked: Crosswalk) -> dict:
    return {"catalog": asked.catalog.code, "other": asked.other.code, "on": asked.day}


def _json(body: dict) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")


class PreferCatalog(APIView):
    """This table is the one to use: preferred over another one that tells the same things."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=PreferSerializer, responses=CatalogSerializer)
    def post(self, request, catalog: str) -> Response:
        given = valid(PreferSerializer, request.data)
        found = get_object_or_404(Catalog.objects.visible_to(request.user), code=catalog)
        over = Catalog.objects.filter(code=given["over"]).first()
        if over is None:
            raise questions.invalid("over", questions.UNKNOWN_TABLE % {"code": given["over"]})
        found = preference.prefer_catalog(found, over, by=request.user, basis=given["basis"])
        return Response(CatalogSerializer(found).data)


class PartCatalog(APIView):
    """This table no longer tells the same as the one preferred to it."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=PartSerializer, responses=CatalogSerializer)
    def post(self, request, catalog: str) -> Response:
        given = valid(PartSerializer, request.data)
        found = get_object_or_404(Catalog.objects.visible_to(request.user), code=catalog)
        return Response(CatalogSerializer(preference.part_catalog(found, by=request.user, reason=given["reason"])).data)
