"""Agencies with their focal points, systems, and imports. Doors: find, read, call the verb, answer."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.doors import Door, body, step
from apps.core.errors import InvalidFact
from apps.core.permissions import require
from apps.organizations import actions, imports
from apps.organizations.api import filters, serializers
from apps.organizations.models import FocalPoint, InformationSystem, Organization

IMPORT_KIND = OpenApiParameter("kind", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(imports.KINDS))


def named(code: str | None, user, field: str = "organization") -> Organization | None:
    """The organization under an identifier of a body, in either form. Raises InvalidFact naming the field."""
    if not code:
        return None
    found = Organization.objects.visible_to(user).by_code(code)
    if found is None:
        raise InvalidFact(fields={field: [f"{code[:40]}: not found"]})
    return found


class Organizations(mixins.ListModelMixin, Door):
    """The directory of agencies with their focal points: public inside the platform (NĐ 47/2020 Điều 7)."""

    queryset = Organization.objects.select_related("parent").prefetch_related(
        Prefetch("focal_points", FocalPoint.objects.current())
    )
    serializer_class = serializers.OrganizationSerializer
    filterset_class = filters.OrganizationFilter
    lookup_field = "code"
    lookup_value_regex = r"[A-Za-z0-9.]{3,35}"

    def get_object(self):
        found = self.get_queryset().by_code(self.kwargs["code"])
        if found is None:
            raise Http404
        return found

    def answer(self, row, code=status.HTTP_200_OK) -> Response:
        row = self.get_queryset().get(pk=row.pk)
        return Response(self.get_serializer(row).data, status=code)

    def retrieve(self, request, code: str) -> Response:
        """One agency, by either form of identifier (H03.12 or 000.00.12.H03)."""
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=serializers.OrganizationChangeSerializer, responses={201: serializers.OrganizationSerializer})
    def create(self, request) -> Response:
        """Enter an agency (operator)."""
        self.may("organizations.register_organization")
        facts = body(request, serializers.OrganizationChangeSerializer)
        facts.pop("version", None)
        facts["parent"] = named(facts.get("parent"), request.user, "parent")
        row = actions.register_organization(facts.pop("code"), facts.pop("name"), by=request.user, **facts)
        return self.answer(row, status.HTTP_201_CREATED)

    @step(serializers.OrganizationChangeSerializer(partial=True), serializers.OrganizationSerializer)
    def partial_update(self, request, code: str) -> Response:
        """Change facts of an agency (operator)."""
        row = self.get_object()
        self.may("organizations.change_organization", row)
        facts = body(request, serializers.OrganizationChangeSerializer, partial=True)
        if "parent" in facts:
            facts["parent"] = named(facts["parent"], request.user, "parent")
        actions.change_organization(row, by=request.user, **facts)
        return self.answer(row)

    @extend_schema(responses={200: serializers.BranchSerializer(many=True)}, filters=False)
    @action(detail=False, pagination_class=None)
    def tree(self, request) -> Response:
        """All agencies as a tree, in the order it is drawn (siblings in the Vietnamese alphabet)."""
        return Response(serializers.BranchSerializer(_branches(Organization.objects.visible_to(request.user)), many=True).data)

    @step(serializers.StepReasonSerializer, serializers.OrganizationSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, request, code: str) -> Response:
        """Suspend: its people, systems and services stop with the next request and call (operator)."""
        return self.move(request, "organizations.suspend_organization", actions.suspend_organization)

    @step(serializers.StepReasonSerializer, serializers.OrganizationSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request, code: str) -> Response:
        return self.move(request, "organizations.resume_organization", actions.resume_organization)

    def move(self, request, permission: str, verb) -> Response:
        row = self.get_object()
        self.may(permission, row)
        verb(row, by=request.user, **body(request, serializers.StepReasonSerializer))
        return self.answer(row)

    @extend_schema(methods=["get"], responses={200: serializers.FocalPointSerializer(many=True)}, filters=False)
    @extend_schema(
        methods=["post"], request=serializers.FocalPointNamingSerializer, responses={201: serializers.FocalPointSerializer}
    )
    @action(detail=True, methods=["get", "post"], url_path="focal-points", pagination_class=None)
    def focal_points(self, request, code: str) -> Response:
        """Who is named today and who was before (GET); name another (POST: the agency's own people, or the operator)."""
        row = self.get_object()
        if request.method == "GET":
            rows = FocalPoint.objects.visible_to(request.user).filter(organization=row)
            return Response(serializers.FocalPointSerializer(rows, many=True).data)
        self.may("organizations.name_focal_point", row)
        made = actions.name_focal_point(row, by=request.user, **body(request, serializers.FocalPointNamingSerializer))
        return Response(serializers.FocalPointSerializer(made).data, status=status.HTTP_201_CREATED)


def _branches(rows) -> list[dict]:
    """Depth-first order in one query; children sort by the alphabet, unknown or invisible parents start a tree."""
    nodes = list(rows.select_related("parent").order_by("sort_key", "pk"))
    known, children = {row.pk for row in nodes}, {}
    for row in nodes:
        children.setdefault(row.parent_id if row.parent_id in known else None, []).append(row)
    found, stack = [], [(row, 0) for row in reversed(children.get(None, []))]
    while stack:
        row, depth = stack.pop()
        parent = row.parent.code if row.parent_id in known else None
        found.append({"uuid": row.uuid, "code": row.code, "name": row.name, "parent": parent, "status": row.status,
                      "depth": depth})  # fmt: skip
        stack += [(child, depth + 1) for child in reversed(children.get(row.pk, []))]
    return found


class Directory(mixins.ListModelMixin, Door):
    """Focal points named today, of all agencies (NĐ 47/2020 Điều 7(2))."""

    queryset = FocalPoint.objects.current().select_related("organization").order_by("organization__sort_key", "id")
    serializer_class = serializers.DirectoryEntrySerializer
    filterset_fields: list[str] = []


class Systems(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Information systems: the subjects of grants. A member sees their own agency's."""

    queryset = InformationSystem.objects.select_related("organization")
    serializer_class = serializers.SystemSerializer
    filterset_class = filters.SystemFilter
    lookup_field = "code"
    lookup_value_regex = r"[a-z0-9-]{2,60}"

    def answer(self, row, code=status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(row).data, status=code)

    @extend_schema(request=serializers.SystemRegistrationSerializer, responses={201: serializers.SystemSerializer})
    def create(self, request) -> Response:
        """Register a system of one's own agency (its officers) or of any (operator)."""
        self.may("organizations.register_system")
        facts = body(request, serializers.SystemRegistrationSerializer)
        owner = named(facts.pop("organization"), request.user)
        return self.answer(actions.register_system(owner, by=request.user, **facts), status.HTTP_201_CREATED)

    @step(serializers.SystemChangeSerializer(partial=True), serializers.SystemSerializer)
    def partial_update(self, request, code: str) -> Response:
        row = self.get_object()
        self.may("organizations.change_system", row)
        actions.change_system(row, by=request.user, **body(request, serializers.SystemChangeSerializer, partial=True))
        return self.answer(row)

    @step(serializers.StepReasonSerializer, serializers.SystemSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, request, code: str) -> Response:
        """Suspend: none of its calls is admitted from the next one on (operator)."""
        return self._move(request, "organizations.suspend_system", actions.suspend_system)

    @step(serializers.StepReasonSerializer, serializers.SystemSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request, code: str) -> Response:
        return self._move(request, "organizations.resume_system", actions.resume_system)

    @step(serializers.StepReasonSerializer, serializers.SystemSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request, code: str) -> Response:
        return self._move(request, "organizations.retire_system", actions.retire_system)

    def _move(self, request, permission: str, verb) -> Response:
        row = self.get_object()
        self.may(permission, row)
        return self.answer(verb(row, by=request.user, **body(request, serializers.StepReasonSerializer)))


class _Import(APIView):
    permission_classes = [IsAuthenticated]
    parser_classes = [MultiPartParser]

    def check_kind(self, request, kind: str) -> None:
        if kind not in imports.KINDS:
            raise Http404
        require(request.user, "organizations.import_file")

    @staticmethod
    def answer(plan: imports.Plan) -> Response:
        shown = [
            {"line": r.line, "key": r.key, "action": r.action, "changes": r.changes, "reasons": r.reasons} for r in plan.rows
        ]
        data = {"kind": plan.kind, "digest": plan.digest, "can_apply": plan.can_apply, "counts": plan.counts, "rows": shown}
        return Response(serializers.ImportPlanSerializer(data).data)


class ImportPreview(_Import):
    """What a CSV file of agencies, people or roles would do, row by row. Nothing is written (operator)."""

    @extend_schema(
        parameters=[IMPORT_KIND],
        request={"multipart/form-data": serializers.ImportFileSerializer},
        responses={200: serializers.ImportPlanSerializer},
    )
    def post(self, request, kind: str) -> Response:
        self.check_kind(request, kind)
        given = body(request, serializers.ImportFileSerializer)
        return self.answer(imports.preview(kind, _content(given["file"]), by=request.user))


class ImportApply(_Import):
    """Carry out what the preview showed: all rows or none; a second time does nothing (operator)."""

    @extend_schema(
        parameters=[IMPORT_KIND],
        request={"multipart/form-data": serializers.ImportApplySerializer},
        responses={200: serializers.ImportPlanSerializer},
    )
    def post(self, request, kind: str) -> Response:
        self.check_kind(request, kind)
        given = body(request, serializers.ImportApplySerializer)
        return self.answer(imports.apply(kind, _content(given["file"]), by=request.user, digest=given["digest"]))


def _content(file) -> bytes:
    """At most one byte more than is taken: whoever sends a gigabyte does not fill our memory."""
    return file.read(imports.MAX_BYTES + 1)
