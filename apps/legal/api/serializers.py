from __future__ import annotations

from rest_framework import serializers

from apps.core.api.moments import Moment
from apps.legal.choices import Evidence
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround


class LegalRuleSerializer(serializers.ModelSerializer):
    class Meta:
        model = LegalRule
        fields = ["uuid", "code", "name", "value", "unit", "citation", "effective_from", "effective_to", "evidence"]


class RuleChangeSerializer(serializers.Serializer):
    """The next value of a rule and the day it begins to hold."""

    value = serializers.DecimalField(max_digits=10, decimal_places=2, min_value=0)
    citation = serializers.CharField(max_length=300)
    effective_from = serializers.DateField()
    evidence = serializers.ChoiceField(choices=Evidence.choices)


class RefusalGroundSerializer(serializers.ModelSerializer):
    class Meta:
        model = RefusalGround
        fields = ["uuid", "code", "name", "citation", "effective_from", "effective_to"]


class GroundChangeSerializer(serializers.Serializer):
    """The next wording of a ground and the day it begins to hold."""

    name = serializers.CharField(max_length=300)
    citation = serializers.CharField(max_length=300)
    effective_from = serializers.DateField()


class GroundAddingSerializer(GroundChangeSerializer):
    code = serializers.CharField(max_length=10)


class GroundEndSerializer(serializers.Serializer):
    effective_to = serializers.DateField(help_text="The first day on which it can no longer be chosen.")


class LegalBasisSerializer(serializers.ModelSerializer):
    class Meta:
        model = LegalBasis
        fields = ["uuid", "code", "name", "citation", "effective_from", "effective_to"]


class BasisChangeSerializer(serializers.Serializer):
    """The next provision and the day from which it is cited."""

    citation = serializers.CharField(max_length=300)
    effective_from = serializers.DateField()


class CalendarDaySerializer(serializers.ModelSerializer):
    class Meta:
        model = CalendarException
        fields = ["day", "is_working", "reason", "citation"]


class DeadlineQuestionSerializer(serializers.Serializer):
    days = serializers.IntegerField(min_value=0, max_value=1000)
    start = Moment(help_text="Moment of receipt, ISO 8601.")


class SkippedDaySerializer(serializers.Serializer):
    day = serializers.DateField()
    reason = serializers.CharField(allow_blank=True, help_text="Empty for an ordinary weekend.")


class DeadlineAnswerSerializer(serializers.Serializer):
    due_at = Moment()
    skipped = SkippedDaySerializer(many=True)
    provisional_year = serializers.IntegerField(
        allow_null=True, help_text="The first year counted whose holidays the Government has not announced yet; null: none."
    )
