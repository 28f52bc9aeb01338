"""Readers' doors: public where the catalog is. All bytes of items come from `render.py`."""

from __future__ import annotations

import datetime as dt

import orjson
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.catalogs import export, feed, lineage, lineage_facts, render, unchanged
from apps.catalogs.api import questions, serializers
from apps.catalogs.api.throttling import CatalogThrottle, DearThrottle
from apps.catalogs.calendar import today
from apps.catalogs.models import Catalog, Entry, Snapshot, Succession

TEXT = OpenApiTypes.STR
DATE = OpenApiTypes.DATE


def _parameter(name: str, kind=TEXT, text: str = "", required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, required=required)


AS_OF = _parameter("as_of", DATE, "The day on which the entries hold; today when absent.")
KNOWN_AT = _parameter(
    "known_at", text="As known then: a release number, a day that is over (its end) or a moment that has been."
)
LEVEL = _parameter("level", text="Level of the catalog.")
LIST_PARAMETERS = [
    AS_OF, KNOWN_AT, LEVEL,
    _parameter("parent", text="Code of the parent, or level:code."),
    _parameter("q", text="Words of the name, with or without tones."),
    _parameter("changed_since", text="Only what later releases than this one recorded: a release number, a day or a moment."),
    _parameter("order", text="code (default) or name, in the order of the Vietnamese alphabet."),
    _parameter("page", OpenApiTypes.INT), _parameter("page_size", OpenApiTypes.INT, "At most 1000; 100 when absent."),
]  # fmt: skip


class PublicView(APIView):
    """Open to everybody; the catalog itself says where an account is needed."""

    permission_classes = [AllowAny]
    throttle_classes = [CatalogThrottle]


class TaggedView(PublicView):
    """Answers with a strong tag. Who has the bytes gets 304, where it can be without a query (`unchanged`)."""

    def initial(self, request, *args, **kwargs) -> None:
        super().initial(request, *args, **kwargs)
        self.day = today()
        self.given_tags = given_tags(request)
        if request.method == "GET" and any(self.given_tags):
            tag = unchanged.still(request.get_full_path(), self.given_tags, has_account=request.user.is_authenticated)
            if tag:
                raise _Unchanged(tag)

    def handle_exception(self, exc):
        return with_tag(HttpResponse(status=304), exc.tag) if isinstance(exc, _Unchanged) else super().handle_exception(exc)

    def tagged(self, body: bytes, catalog: Catalog) -> HttpResponse:
        """The bytes with their tag, or 304. `catalog` is the one the body was made from, as it was read before."""
        tag = render.etag(body)
        unchanged.remember(self.request.get_full_path(), tag, catalog, self.day)
        if tag in self.given_tags:
            return with_tag(HttpResponse(status=304), tag)
        return with_tag(HttpResponse(body, content_type="application/json"), tag)


class _Unchanged(Exception):  # noqa: N818  (an answer, not an error)
    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


def given_tags(request) -> list[str]:
    """The tags of what the reader has, without the mark of weak ones."""
    return [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]


def with_tag(response: HttpResponse, tag: str) -> HttpResponse:
    response["ETag"] = tag
    patch_cache_control(response, no_cache=True)  # may be kept, must be asked for
    return response


class Catalogs(generics.ListAPIView):
    """The shared catalogs."""

    permission_classes = [AllowAny]
    throttle_classes = [CatalogThrottle]
    queryset = Catalog.objects.select_related("current", "preferred").prefetch_related("others", "preferred__others")
    serializer_class = serializers.CatalogSerializer
    filterset_fields = ["is_public", "is_sample"]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return self.queryset.visible_to(self.request.user)


class CatalogDetail(PublicView):
    """One catalog: its instrument, levels, current release."""

    @extend_schema(responses=serializers.CatalogSerializer)
    def get(self, request, catalog: str) -> Response:
        return Response(serializers.CatalogSerializer(questions.catalog_for(request.user, catalog)).data)


class Items(TaggedView):
    """Entries of a catalog on a day, as known at a moment."""

    @extend_schema(operation_id="catalogs_items_list", parameters=LIST_PARAMETERS, responses=serializers.ItemPageSerializer)
    def get(self, request, catalog: str) -> HttpResponse:
        asked = questions.question(request, catalog)
        rows = asked.entries()
        count = rows.count()
        first = (asked.page - 1) * asked.page_size
        if first and first >= count:
            raise questions.invalid("page", questions.FEWER_PAGES)
        rendered = list(render.items(asked.catalog, rows[first : first + asked.page_size]))
        body = render.page(
            asked.catalog.code, asked.number, rendered, count=count, number=asked.page, size=asked.page_size, query=asked.query
        )
        return self.tagged(body, asked.catalog)


class WholeList(TaggedView):
    """All entries that hold on a day, as known at a moment, in one answer: the bulk snapshot. Today's is ready-made."""

    @extend_schema(
        operation_id="catalogs_snapshot", parameters=[AS_OF, KNOWN_AT, LEVEL], responses=serializers.SnapshotSerializer
    )
    def get(self, request, catalog: str) -> HttpResponse:
        asked = questions.question(request, catalog, allowed=("as_of", "known_at", "level"))
        rendered = _from_snapshot(asked) if asked.is_default else None
        if rendered is None:
            rendered = list(render.items(asked.catalog, asked.entries()))
        return self.tagged(render.whole(asked.catalog.code, asked.number, rendered), asked.catalog)


def _from_snapshot(asked: questions.Question) -> list[bytes] | None:
    """The lines rendered at publish; None where there are none for today (a catalog that needs an account)."""
    wanted = [asked.given["level"]] if "level" in asked.given else asked.catalog.level_codes
    rows = Snapshot.objects.filter(release_id=asked.catalog.current_id, level__in=wanted).covering(asked.day)
    found = {row.level: row for row in rows}
    if set(found) != set(wanted):
        return None
    return [line for level in wanted for line in bytes(found[level].body).split(b"\n") if line]


class Item(TaggedView):
    """One code on a day."""

    @extend_schema(parameters=[AS_OF, KNOWN_AT, LEVEL], responses=serializers.ItemSerializer)
    def get(self, request, catalog: str, code: str) -> HttpResponse:
        asked = questions.question(request, catalog, allowed=("as_of", "known_at", "level"))
        found = list(render.items(asked.catalog, asked.entries().filter(code=code)))
        return self.tagged(_only(found, asked, code), asked.catalog)


def _only(found: list[bytes], asked: questions.Question, code: str) -> bytes:
    if not found:
        raise questions.UnknownCode(item=code, as_of=asked.day.isoformat())
    if len(found) > 1:
        raise questions.AmbiguousCode(levels=[orjson.loads(line)["level"] for line in found])
    return found[0]


class ItemHistory(TaggedView):
    """Everything ever recorded about a code, in valid time, corrected records too."""

    @extend_schema(parameters=[LEVEL, KNOWN_AT], responses=serializers.HistorySerializer)
    def get(self, request, catalog: str, code: str) -> HttpResponse:
        asked = questions.question(request, catalog, allowed=("level", "known_at"))
        rows = Entry.objects.filter(catalog=asked.catalog, code=code, recorded_in__lte=asked.number)
        if "level" in asked.given:
            rows = rows.filter(level=asked.given["level"])
        rows = rows.order_by(questions.level_order(asked.catalog), "valid_from", "recorded_in")
        columns = [column if column != "ends_on" else "valid_to" for column in render.COLUMNS]
        entries = []
        for *row, closed_in, superseded_in in rows.values_list(*columns, "closed_in", "superseded_in"):
            line = render.item(asked.catalog, row)
            if closed_in and closed_in > asked.number:
                line["valid_to"], closed_in = None, None
            entries.append(
                {
                    **line,
                    "closed_in": closed_in,
                    "superseded_in": superseded_in if (superseded_in or 0) <= asked.number else None,
                }
            )
        if not entries:
            raise questions.UnknownCode(item=code)
        return self.tagged(orjson.dumps({"catalog": asked.catalog.code, "code": code, "entries": entries}), asked.catalog)


class ItemLineage(TaggedView):
    """The successions of a code: where it came from and what became of it."""

    @extend_schema(parameters=[LEVEL, KNOWN_AT], responses=serializers.LineageSerializer)
    def get(self, request, catalog: str, code: str) -> HttpResponse:
        asked = questions.question(request, catalog, allowed=("level", "known_at"))
        known = Succession.objects.filter(catalog=asked.catalog).known_in(asked.number)
        sides = {}
        for name, here, there in (("predecessors", "new", "old"), ("successors", "old", "new")):
            rows = known.filter(**{f"{here}_code": code})
            if "level" in asked.given:
                rows = rows.filter(**{f"{here}_level": asked.given["level"]})
            sides[name] = _succession_lines(asked, rows.order_by("effective_on", f"{there}_level", f"{there}_code"), there)
        entries = Entry.objects.filter(catalog=asked.catalog, code=code, recorded_in__lte=asked.number)
        if "level" in asked.given:
            entries = entries.filter(level=asked.given["level"])
        if not (sides["predecessors"] or sides["successors"] or entries.exists()):
            raise questions.UnknownCode(item=code)
        return self.tagged(orjson.dumps({"catalog": asked.catalog.code, "code": code, **sides}), asked.catalog)


def _succession_lines(asked: questions.Question, rows, there: str) -> list[dict]:
    """The other ends of successions, with their names on their side of the effective day."""
    successions = list(rows)
    eve = lineage_facts.DAY if there == "old" else dt.timedelta(0)
    ends = [(getattr(row, f"{there}_level"), getattr(row, f"{there}_code"), row.effective_on - eve) for row in successions]
    names = lineage_facts.names_on(asked.catalog, set(ends), known_in=asked.number)
    return [
        {
            "kind": row.kind, "level": end[0], "code": end[1], "name": names.get(end, ""), "effective_date": row.effective_on,
            "legal_basis": row.legal_basis, "area_share": row.area_share, "population_share": row.population_share, "note": row.note,
        }
        for row, end in zip(successions, ends, strict=True)
    ]  # fmt: skip


class Translate(TaggedView):
    """What became of a code between two days: `exact`, `many`, `ended` or `unknown`, with heirs and grounds. Never a silent pick."""

    @extend_schema(
        operation_id="catalogs_translate",
        parameters=[
            _parameter("code", required=True), LEVEL, _parameter("from", DATE, required=True), _parameter("to", DATE, required=True),
            KNOWN_AT,
        ],
        responses=serializers.TranslationSerializer,
    )  # fmt: skip
    def get(self, request, catalog: str) -> HttpResponse:
        given = valid(serializers.TranslateQuestionSerializer, request.query_params)
        catalog, level, number = _translation(request, catalog, given)
        found = lineage.translate(catalog, level, given["code"], given["from"], given["to"], known_in=number)
        return self.tagged(orjson.dumps(found.as_dict()), catalog)

    @extend_schema(
        operation_id="catalogs_translate_many",
        request=serializers.TranslateBulkSerializer,
        responses=serializers.BulkTranslationSerializer,
    )
    def post(self, request, catalog: str) -> HttpResponse:
        given = valid(serializers.TranslateBulkSerializer, request.data)
        catalog, level, number = _translation(request, catalog, given)
        codes = given["codes"]
        found = lineage.translate_many(catalog, [(level, code) for code in codes], given["from"], given["to"], known_in=number)
        lines = [{"code": code, **line.as_dict()} for code, line in zip(codes, found, strict=True)]
        body = {"catalog": catalog.code, "release": number, "results": lines}
        return HttpResponse(orjson.dumps(body), content_type="application/json")


def valid(serializer, data, *, also: tuple[str, ...] = ()) -> dict:
    """What a question says. A part of it that is not known (nor named in `also`), or that is said twice, is refused."""
    given = serializer(data=data)
    known = {*given.fields, *also}
    if isinstance(data, QueryDict):
        questions.only(data, known)
    elif isinstance(data, dict) and (unknown := sorted(set(data) - known)):
        raise questions.invalid(unknown[0], _("Unknown parameter."))
    given.is_valid(raise_exception=True)
    return given.validated_data


def _translation(request, code: str, given: dict) -> tuple[Catalog, str, int]:
    catalog = questions.catalog_for(request.user, code)
    return catalog, level_of(catalog, given), questions.known_number(catalog, given.get("known_at"))


def level_of(catalog: Catalog, given: dict) -> str:
    """The level a question about codes names; of a catalog with one level, that one."""
    level = given.get("level") or (catalog.level_codes[0] if len(catalog.level_codes) == 1 else "")
    if not level:
        raise questions.invalid("level", _("Name the level: codes repeat across levels."))
    if level not in catalog.level_codes:
        raise questions.invalid("level", _("Unknown level: %(levels)s.") % {"levels": level})
    return level


class Changes(TaggedView):
    """The change feed after a release: apply the lines in order, then ask again with `cursor`. Tombstones are `closed` lines."""

    @extend_schema(
        parameters=[
            _parameter("since", required=True, text="A release number (0: from the beginning) or the last answer's cursor."),
            _parameter("limit", OpenApiTypes.INT),
        ],
        responses=serializers.FeedSerializer,
    )
    def get(self, request, catalog: str) -> HttpResponse:
        found = questions.catalog_for(request.user, catalog)
        given = questions.only(request.query_params, ("since", "limit"))
        if "since" not in given:
            raise questions.invalid("since", _("This parameter is needed."))
        limit = questions.whole_number(given, "limit", feed.MAX_CHANGES, feed.MAX_CHANGES)
        since = feed.Cursor.parse(given["since"])
        questions.published_number(found, since.release, "since")  # who claims to know more would never hear of what comes next
        body = feed.changes(found, since, until=questions.known_number(found, None), limit=limit)
        return self.tagged(orjson.dumps(body), found)


class Export(PublicView):
    """The list as a file, at any date: json, csv or xlsx. Texts that a spreadsheet would run are disarmed."""

    throttle_classes = [CatalogThrottle, DearThrottle]

    @extend_schema(
        parameters=[p for p in LIST_PARAMETERS if p.name not in ("page", "page_size")],
        responses={(200, media.split(";")[0]): OpenApiTypes.BINARY for media in export.FORMATS.values()},
    )
    def get(self, request, catalog: str, file_type: str) -> HttpResponse:
        allowed = tuple(name for name in questions.FILTERS if name not in ("page", "page_size"))
        asked = questions.question(request, catalog, allowed=allowed)
        tag = unchanged.tag_by_state(request.get_full_path(), asked.catalog)
        if tag.removeprefix("W/") in given_tags(request):
            return with_tag(HttpResponse(status=304), tag)
        rows = asked.entries().values_list(*render.COLUMNS)
        items = (render.item(asked.catalog, row) for row in rows.iterator(chunk_size=2000))
        if file_type == "json":
            body = render.whole(asked.catalog.code, asked.number, [orjson.dumps(item) for item in items])
            response = HttpResponse(body, content_type=export.FORMATS[file_type])
        elif file_type == "csv":
            response = StreamingHttpResponse(export.as_csv(items), content_type=export.FORMATS[file_type])
        else:
            response = HttpResponse(export.as_xlsx(items, _about(asked)), content_type=export.FORMATS[file_type])
        name = f"{asked.catalog.code}-{asked.day.isoformat()}.{file_type}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return with_tag(response, tag)


def _about(asked: questions.Question) -> list[tuple[str, str]]:
    now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    return [
        ("catalog", asked.catalog.code), ("name", asked.catalog.name), ("scheme", asked.catalog.scheme),
        ("instrument", asked.catalog.instrument), ("as_of", asked.day.isoformat()), ("release", str(asked.number)), ("made_at", now),
    ]  # fmt: skip
