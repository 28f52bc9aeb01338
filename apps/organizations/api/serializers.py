"""Wire shapes of agencies, systems, roles and people. Public identifiers only: codes and UUIDs."""

from __future__ import annotations

from rest_framework import serializers

from apps.accounts.models import User
from apps.core.api.steps import VersionSerializer
from apps.organizations.choices import Network, OrganizationKind, Role, SystemKind
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization

AUTHORITY = "Decision or letter that empowers the signer (number, date, issuer); empty for who signs by office."


class OrganizationNameSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ["uuid", "code", "old_code", "name"]


class FocalPointSerializer(serializers.ModelSerializer):
    class Meta:
        model = FocalPoint
        fields = ["uuid", "name", "position", "function", "phone", "email", "created_at", "ended_at"]


class OrganizationSerializer(serializers.ModelSerializer):
    parent = serializers.SlugRelatedField(slug_field="code", read_only=True)
    focal_point = serializers.SerializerMethodField()

    class Meta:
        model = Organization
        fields = [
            "uuid", "code", "old_code", "name", "short_name", "kind", "parent", "status", "email", "phone", "address",
            "version", "focal_point",
        ]  # fmt: skip

    def get_focal_point(self, row) -> FocalPointSerializer(allow_null=True):
        current = row.current_focal_points
        return FocalPointSerializer(current[0]).data if current else None


class BranchSerializer(serializers.Serializer):
    """A node of the tree, in the order it is drawn; `depth` counts from 0."""

    uuid = serializers.UUIDField()
    code = serializers.CharField()
    name = serializers.CharField()
    parent = serializers.CharField(allow_null=True)
    status = serializers.CharField()
    depth = serializers.IntegerField()


class OrganizationChangeSerializer(serializers.Serializer):
    """All but the identifier may be left out; `version` is what the caller saw (a stale one answers 409)."""

    version = serializers.IntegerField(required=False)
    name = serializers.CharField(max_length=300)
    short_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=OrganizationKind.choices, required=False)
    code = serializers.CharField(max_length=35)
    old_code = serializers.CharField(max_length=20, required=False, allow_blank=True)
    parent = serializers.CharField(
        max_length=35, required=False, allow_null=True, help_text="Identifier of the parent, in either form."
    )
    email = serializers.EmailField(required=False, allow_blank=True)
    phone = serializers.CharField(max_length=30, required=False, allow_blank=True)
    address = serializers.CharField(max_length=300, required=False, allow_blank=True)


class FocalPointNamingSerializer(serializers.Serializer):
    seen = serializers.CharField(
        max_length=40, required=False,
        help_text="The uuid of the focal point the caller saw named, `nobody` where there was none; another one answers 409.",
    )  # fmt: skip
    name = serializers.CharField(max_length=200)
    position = serializers.CharField(max_length=200)
    phone = serializers.CharField(max_length=30)
    email = serializers.EmailField()
    function = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class DirectoryEntrySerializer(FocalPointSerializer):
    organization = OrganizationNameSerializer()

    class Meta(FocalPointSerializer.Meta):
        fields = ["organization", *FocalPointSerializer.Meta.fields]


class StepReasonSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=1000)
    version = serializers.IntegerField(required=False)


class SystemSerializer(serializers.ModelSerializer):
    organization = OrganizationNameSerializer(read_only=True)

    class Meta:
        model = InformationSystem
        fields = [
            "uuid", "code", "name", "kind", "organization", "network", "security_level", "security_decision",
            "security_expires_on", "status", "version",
        ]  # fmt: skip


class SystemChangeSerializer(serializers.Serializer):
    version = serializers.IntegerField(required=False)
    name = serializers.CharField(max_length=300)
    kind = serializers.ChoiceField(choices=SystemKind.choices, required=False)
    network = serializers.ChoiceField(choices=Network.choices, required=False)
    security_level = serializers.IntegerField(min_value=1, max_value=5, required=False, allow_null=True)
    security_decision = serializers.CharField(max_length=100, required=False, allow_blank=True)
    security_expires_on = serializers.DateField(required=False, allow_null=True)


class SystemRegistrationSerializer(SystemChangeSerializer):
    version = None
    organization = serializers.CharField(max_length=35, help_text="Identifier of the owner, in either form.")
    code = serializers.CharField(max_length=60)


class PersonRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["uuid", "username", "full_name"]


class MembershipSerializer(serializers.ModelSerializer):
    user = PersonRefSerializer(read_only=True)
    organization = OrganizationNameSerializer(read_only=True)

    class Meta:
        model = Membership
        fields = ["uuid", "user", "organization", "role", "authority", "version", "created_at", "ended_at"]


class RoleGivingSerializer(serializers.Serializer):
    user = serializers.UUIDField()
    organization = serializers.CharField(max_length=35, help_text="Identifier, in either form.")
    role = serializers.ChoiceField(choices=Role.choices)
    authority = serializers.CharField(max_length=300, required=False, allow_blank=True, help_text=AUTHORITY)


class AuthoritySerializer(VersionSerializer):
    authority = serializers.CharField(max_length=300, allow_blank=True, help_text=AUTHORITY)


class EndRoleSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class PersonSerializer(serializers.ModelSerializer):
    roles = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["uuid", "username", "full_name", "position", "email", "phone", "is_active", "last_login", "roles", "version"]

    def get_roles(self, row) -> MembershipSerializer(many=True):
        return MembershipSerializer(row.current_memberships, many=True).data


class PersonChangeSerializer(VersionSerializer):
    full_name = serializers.CharField(max_length=200)
    email = serializers.EmailField(required=False, allow_blank=True)
    position = serializers.CharField(max_length=200, required=False, allow_blank=True)
    phone = serializers.CharField(max_length=30, required=False, allow_blank=True)


class AccountOpeningSerializer(PersonChangeSerializer):
    version = None
    username = serializers.CharField(max_length=150)
    organization = serializers.CharField(max_length=35, required=False, help_text="Identifier, in either form.")
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    authority = serializers.CharField(max_length=300, required=False, allow_blank=True, help_text=AUTHORITY)


class InitialPasswordSerializer(serializers.Serializer):
    password = serializers.CharField(help_text="Shown once; must be changed at the first login.")


class ImportFileSerializer(serializers.Serializer):
    file = serializers.FileField(help_text="CSV in UTF-8, at most 1 MiB and 5,000 rows.")


class ImportApplySerializer(ImportFileSerializer):
    digest = serializers.CharField(max_length=64, help_text="What the preview of this very file answered.")


class ImportRowSerializer(serializers.Serializer):
    line = serializers.IntegerField()
    key = serializers.CharField()
    action = serializers.ChoiceField(choices=["create", "change", "same", "refused"])
    changes = serializers.DictField(child=serializers.ListField(child=serializers.CharField(allow_blank=True)))
    reasons = serializers.ListField(child=serializers.CharField())


class ImportPlanSerializer(serializers.Serializer):
    kind = serializers.CharField()
    digest = serializers.CharField()
    can_apply = serializers.BooleanField()
    counts = serializers.DictField(child=serializers.IntegerField())
    rows = ImportRowSerializer(many=True)
