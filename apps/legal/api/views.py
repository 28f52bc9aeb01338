from __future__ import annotations

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.doors import body
from apps.legal import actions
from apps.legal.api import serializers
from apps.legal.deadlines import working_days
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround


class BetweenDatesFilter(filters.FilterSet):
    in_force_on = filters.DateFilter(method="on_day", label="only rows in force on this day")

    def on_day(self, rows, _name, day):
        return rows.in_force(day)


class LegalRuleFilter(BetweenDatesFilter):
    class Meta:
        model = LegalRule
        fields = ["code", "unit", "evidence"]


class LegalRules(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Values the law sets, with their citations. Public inside the platform."""

    permission_classes = [IsAuthenticated]
    queryset = LegalRule.objects.all()
    serializer_class = serializers.LegalRuleSerializer
    filterset_class = LegalRuleFilter


class LegalRuleChange(APIView):
    """The legal officer gives a rule its next value; running cases keep the old one."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=serializers.RuleChangeSerializer, responses={201: serializers.LegalRuleSerializer})
    def post(self, request, code: str) -> Response:
        given = serializers.RuleChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rule = actions.change_rule(code, by=request.user, **given.validated_data)
        return Response(serializers.LegalRuleSerializer(rule).data, status=status.HTTP_201_CREATED)


class RefusalGroundFilter(BetweenDatesFilter):
    class Meta:
        model = RefusalGround
        fields = ["code"]


class RefusalGrounds(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Coded grounds on which a request may be refused, with the dates between which they may be chosen."""

    permission_classes = [IsAuthenticated]
    queryset = RefusalGround.objects.all()
    serializer_class = serializers.RefusalGroundSerializer
    filterset_class = RefusalGroundFilter
    lookup_field = "code"
    lookup_value_regex = "[A-Z][0-9A-Z]{0,9}"

    @extend_schema(request=serializers.GroundAddingSerializer, responses={201: serializers.RefusalGroundSerializer})
    def create(self, request) -> Response:
        """Add a ground (legal officer)."""
        given = body(request, serializers.GroundAddingSerializer)
        return self._made(actions.add_ground(given.pop("code"), by=request.user, **given))

    @extend_schema(request=serializers.GroundChangeSerializer, responses={201: serializers.RefusalGroundSerializer})
    @action(detail=True, methods=["post"])
    def change(self, request, code: str) -> Response:
        """Give a ground its next wording; what was refused on the old one keeps it (legal officer)."""
        return self._made(actions.change_ground(code, by=request.user, **body(request, serializers.GroundChangeSerializer)))

    @extend_schema(request=serializers.GroundEndSerializer, responses={201: serializers.RefusalGroundSerializer})
    @action(detail=True, methods=["post"])
    def end(self, request, code: str) -> Response:
        """Nobody refuses on it from that day on (legal officer)."""
        return self._made(actions.end_ground(code, by=request.user, **body(request, serializers.GroundEndSerializer)))

    def _made(self, row: RefusalGround) -> Response:
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)


class LegalBasisFilter(BetweenDatesFilter):
    class Meta:
        model = LegalBasis
        fields = ["code"]


class LegalBases(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Provisions that the gateway's refusals cite, with the dates between which they are cited."""

    permission_classes = [IsAuthenticated]
    queryset = LegalBasis.objects.all()
    serializer_class = serializers.LegalBasisSerializer
    filterset_class = LegalBasisFilter
    lookup_field = "code"
    lookup_value_regex = "[a-z_]{1,30}"

    @extend_schema(request=serializers.BasisChangeSerializer, responses={201: serializers.LegalBasisSerializer})
    @action(detail=True, methods=["post"])
    def change(self, request, code: str) -> Response:
        """Refusals cite another provision from that day on (legal officer)."""
        row = actions.change_basis(code, by=request.user, **body(request, serializers.BasisChangeSerializer))
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)


class CalendarDays(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Days the Government made working days or days off."""

    permission_classes = [IsAuthenticated]
    queryset = CalendarException.objects.all()
    serializer_class = serializers.CalendarDaySerializer
    filterset_fields = ["day", "is_working"]

    @extend_schema(request=serializers.CalendarDaySerializer, responses={201: serializers.CalendarDaySerializer})
    def create(self, request) -> Response:
        given = serializers.CalendarDaySerializer(data=request.data)
        given.fields["day"].validators = []
        given.is_valid(raise_exception=True)
        row = actions.set_calendar_day(given.validated_data.pop("day"), by=request.user, **given.validated_data)
        return Response(serializers.CalendarDaySerializer(row).data, status=status.HTTP_201_CREATED)


class DeadlineCalculator(APIView):
    """When a term of working days ends, and which days were skipped on the way."""

    permission_classes = [IsAuthenticated]

    @extend_schema(parameters=[serializers.DeadlineQuestionSerializer], responses=serializers.DeadlineAnswerSerializer)
    def get(self, request) -> Response:
        question = serializers.DeadlineQuestionSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        found = working_days(question.validated_data["days"], question.validated_data["start"])
        return Response(serializers.DeadlineAnswerSerializer(found).data)
