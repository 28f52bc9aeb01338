"""What the steps take."""

from __future__ import annotations

from rest_framework import serializers

from apps.agreements.choices import SuspensionKind, TerminationGround
from apps.core.api.moments import Moment
from apps.core.api.steps import VersionSerializer
from apps.registry.choices import Environment

LONG = 10_000


class DutyDoneSerializer(serializers.Serializer):
    """The certificate (a file, so the body is multipart) is needed for the deletion of received data."""

    note = serializers.CharField()
    certificate = serializers.FileField(required=False)


class ApprovalSerializer(VersionSerializer):
    comment = serializers.CharField(required=False, allow_blank=True, max_length=LONG)


class SuspensionSerializer(VersionSerializer):
    kind = serializers.ChoiceField(choices=SuspensionKind.choices)
    violation = serializers.CharField(required=False, allow_blank=True, max_length=LONG)
    plan = serializers.CharField(required=False, allow_blank=True, max_length=LONG)
    restore_conditions = serializers.CharField(required=False, allow_blank=True, max_length=LONG)
    determined_at = Moment(
        required=False, help_text="When the violation was determined; now, if left out. Of a violation only."
    )


class CommentSerializer(VersionSerializer):
    comment = serializers.CharField(required=False, allow_blank=True, max_length=LONG)


class RejectionSerializer(VersionSerializer):
    comment = serializers.CharField(max_length=LONG, help_text="Why the test is not accepted.")


class ReasonSerializer(VersionSerializer):
    reason = serializers.CharField(max_length=LONG)


class TerminationSerializer(ReasonSerializer):
    ground = serializers.ChoiceField(choices=TerminationGround.choices)


class LeavingSerializer(ReasonSerializer):
    consumer = serializers.CharField(
        max_length=35, required=False, help_text="Code of the consumer that leaves, for who acts for several of the agreement."
    )


class HashSerializer(VersionSerializer):
    content_hash = serializers.CharField(min_length=64, max_length=64, help_text="What the person has read.")


class AgreementSigningSerializer(HashSerializer):
    password = serializers.CharField(max_length=200, write_only=True, help_text="Proof of who is signing.")


class ProposalSerializer(VersionSerializer):
    changes = serializers.DictField(
        help_text="Negotiable items of the content, each whole. A `method` without `calls_per_day` gets the services' smallest default quota."
    )
    note = serializers.CharField(max_length=LONG)


class AcceptanceInputSerializer(serializers.Serializer):
    system = serializers.CharField(max_length=60, help_text="Code of the system that was tested.")
    tested_on = serializers.DateField()
    summary = serializers.CharField(max_length=LONG)


class ExtensionSerializer(ReasonSerializer):
    system = serializers.CharField(max_length=60, help_text="Code of the system that is tested.")


class ReissueSerializer(serializers.Serializer):
    system = serializers.CharField(max_length=60, help_text="Code of the system.")
    environment = serializers.ChoiceField(choices=Environment.choices)


class LiftSerializer(serializers.Serializer):
    comment = serializers.CharField(required=False, allow_blank=True, max_length=LONG)


class NoteSerializer(serializers.Serializer):
    note = serializers.CharField(max_length=LONG)


class EmptySerializer(serializers.Serializer):
    pass


class JoinSerializer(serializers.Serializer):
    consumer = serializers.CharField(max_length=35, help_text="Code of the organization that wants to join.")


class AnnouncementSerializer(serializers.Serializer):
    starts_at = Moment()
    ends_at = Moment()
    reason = serializers.CharField(max_length=LONG)


class ConsumerSuspensionInputSerializer(serializers.Serializer):
    consumer = serializers.CharField(max_length=35, help_text="Code of the consumer, a party of the agreement.")
    violation = serializers.CharField(max_length=LONG)
    plan = serializers.CharField(max_length=LONG, help_text="How it is handled.")
    restore_conditions = serializers.CharField(max_length=LONG, help_text="What restores the connection.")
    determined_at = Moment(required=False, help_text="When the violation was determined; now, if left out.")


class SignedFileSerializer(serializers.Serializer):
    file = serializers.FileField()
