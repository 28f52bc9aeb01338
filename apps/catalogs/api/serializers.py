"""Wire shapes. Items are rendered by `render.py`; their serializers here document them."""

from __future__ import annotations

from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.catalogs.choices import Relation, Scope, Share, SuccessionKind, TranslateResult
from apps.catalogs.models import Catalog, Release
from apps.catalogs.querysets import sees_waiting
from apps.catalogs.workflow import RELEASE
from apps.core.api.steps import StepSerializer, VersionSerializer, steps_for

MAX_CODES = 10_000


class LevelSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    pattern = serializers.CharField()
    parents = serializers.ListField(child=serializers.CharField())


class CatalogSerializer(serializers.ModelSerializer):
    levels = LevelSerializer(many=True)
    release = serializers.IntegerField(source="current.number", default=None, help_text="Number of the current release.")
    same_tables = serializers.SerializerMethodField(help_text="Tables that tell the same things, this one among them.")
    preferred = serializers.SerializerMethodField(help_text="Which of them is to be used; null where there is one only.")

    class Meta:
        model = Catalog
        fields = [
            "code", "name", "description", "issuing_body", "instrument", "instrument_number", "instrument_date", "effective_from",
            "effective_to", "scheme", "levels", "is_public", "is_sample", "publishes_itself", "release",
            "same_tables", "preferred", "preference_basis",
        ]  # fmt: skip

    def get_same_tables(self, catalog) -> list[str]:
        return [table.code for table in catalog.same_tables]

    def get_preferred(self, catalog) -> str | None:
        tables = catalog.same_tables
        return tables[0].code if tables else None


class ParentSerializer(serializers.Serializer):
    level = serializers.CharField()
    code = serializers.CharField()


class ItemSerializer(serializers.Serializer):
    code = serializers.CharField()
    level = serializers.CharField()
    name = serializers.CharField()
    full_name = serializers.CharField()
    parent = ParentSerializer(allow_null=True)
    valid_from = serializers.DateField()
    valid_to = serializers.DateField(allow_null=True, help_text="First day on which it no longer holds; null: no end is known.")
    scheme = serializers.CharField(allow_null=True)
    attributes = serializers.DictField(help_text="An attribute that is absent is unknown; an empty one is known to be empty.")
    release = serializers.IntegerField(help_text="Release in which this was recorded.")


class ItemPageSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    release = serializers.IntegerField()
    count = serializers.IntegerField()
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    items = ItemSerializer(many=True)


class SnapshotSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    release = serializers.IntegerField()
    count = serializers.IntegerField()
    items = ItemSerializer(many=True)


class HistoryEntrySerializer(ItemSerializer):
    closed_in = serializers.IntegerField(allow_null=True)
    superseded_in = serializers.IntegerField(
        allow_null=True, help_text="Release that corrected this record; null: it is believed."
    )


class HistorySerializer(serializers.Serializer):
    catalog = serializers.CharField()
    code = serializers.CharField()
    entries = HistoryEntrySerializer(many=True)


class SuccessionSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=SuccessionKind.choices)
    level = serializers.CharField()
    code = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    effective_date = serializers.DateField()
    legal_basis = serializers.CharField(allow_blank=True)
    area_share = serializers.ChoiceField(choices=Share.choices)
    population_share = serializers.ChoiceField(choices=Share.choices)
    note = serializers.CharField(allow_blank=True)


class LineageSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    code = serializers.CharField()
    predecessors = SuccessionSerializer(many=True)
    successors = SuccessionSerializer(many=True)


@extend_schema_serializer(component_name="TranslateQuestion")
class TranslateQuestionSerializer(serializers.Serializer):
    code = serializers.CharField(max_length=60)
    level = serializers.CharField(max_length=30, required=False, help_text="Needed where the catalog has several levels.")
    known_at = serializers.CharField(required=False)

    def get_fields(self):
        days = {"from": serializers.DateField(), "to": serializers.DateField()}
        return {**super().get_fields(), **days}


class TranslateBulkSerializer(serializers.Serializer):
    codes = serializers.ListField(child=serializers.CharField(max_length=60), max_length=MAX_CODES, allow_empty=False)
    level = serializers.CharField(max_length=30, required=False)
    known_at = serializers.CharField(required=False)

    def get_fields(self):
        return {**super().get_fields(), "from": serializers.DateField(), "to": serializers.DateField()}


class HeirSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    level = serializers.CharField()
    valid_from = serializers.DateField()
    area_share = serializers.ChoiceField(choices=Share.choices)
    population_share = serializers.ChoiceField(choices=Share.choices)


class GroundSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=SuccessionKind.choices)
    effective_date = serializers.DateField()
    legal_basis = serializers.CharField(allow_null=True)


class TranslationSerializer(serializers.Serializer):
    result = serializers.ChoiceField(choices=TranslateResult.choices)
    heirs = HeirSerializer(many=True)
    via = GroundSerializer(many=True)
    derived = serializers.BooleanField(required=False, help_text="True: nobody says so, it follows from the units below.")


class BulkTranslationLineSerializer(TranslationSerializer):
    code = serializers.CharField()


class BulkTranslationSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    release = serializers.IntegerField()
    results = BulkTranslationLineSerializer(many=True)


class FeedLineSerializer(serializers.Serializer):
    release = serializers.IntegerField()
    change = serializers.ChoiceField(choices=[("withdrawn", "withdrawn"), ("closed", "closed"), ("opened", "opened")])
    level = serializers.CharField()
    code = serializers.CharField()
    valid_from = serializers.DateField()
    valid_to = serializers.DateField(required=False, allow_null=True)
    name = serializers.CharField(required=False)
    full_name = serializers.CharField(required=False)
    parent = ParentSerializer(required=False, allow_null=True)
    attributes = serializers.DictField(required=False)


class FeedSerializer(serializers.Serializer):
    catalog = serializers.CharField()
    release = serializers.IntegerField()
    cursor = serializers.CharField(help_text="Ask the next time with `since` = this.")
    complete = serializers.BooleanField()
    changes = FeedLineSerializer(many=True)


# --- releases ------------------------------------------------------------------------------------


class ReleaseSerializer(serializers.ModelSerializer):
    catalog = serializers.SlugRelatedField(slug_field="code", read_only=True)
    source = serializers.SerializerMethodField(
        help_text="The platform's own people read more: whose list it is, or which feed."
    )
    published_by = serializers.SerializerMethodField()
    inverse_of = serializers.IntegerField(source="inverse_of.number", default=None)

    class Meta:
        model = Release
        fields = [
            "uuid", "catalog", "number", "status", "source", "scope", "levels", "effective_on", "instrument", "instrument_date", "note",
            "rows", "counts", "hold_reasons", "accepted", "created_at", "judged_at", "published_at", "published_by", "inverse_of",
        ]  # fmt: skip

    def get_source(self, release) -> str:
        return release.source if self._tells_all else release.source_kind

    @cached_property
    def _tells_all(self) -> bool:
        return sees_waiting(self.context["request"].user)

    def get_published_by(self, release) -> str | None:
        """Who published it, by full name: a public act. A login name is none of the public's business."""
        return (release.published_by.full_name or None) if release.published_by else None


class ReleaseDetailSerializer(ReleaseSerializer):
    steps = serializers.SerializerMethodField()

    class Meta(ReleaseSerializer.Meta):
        fields = [*ReleaseSerializer.Meta.fields, "version", "decision_note", "steps"]

    def get_steps(self, release) -> StepSerializer(many=True):
        return steps_for(RELEASE, release, self.context["request"].user)


class StagedRowSerializer(serializers.Serializer):
    code = serializers.CharField(allow_blank=True)
    name = serializers.CharField(required=False, allow_blank=True)
    full_name = serializers.CharField(required=False, allow_blank=True)
    level = serializers.CharField(required=False, allow_blank=True)
    parent_code = serializers.CharField(required=False, allow_blank=True)
    parent_level = serializers.CharField(required=False, allow_blank=True)
    valid_from = serializers.CharField(required=False, allow_blank=True)
    valid_to = serializers.CharField(required=False, allow_blank=True)
    closes = serializers.BooleanField(required=False)
    attributes = serializers.DictField(required=False)


class StagedSuccessionSerializer(serializers.Serializer):
    old_code = serializers.CharField()
    old_level = serializers.CharField(required=False)
    new_code = serializers.CharField(required=False, allow_blank=True)
    new_level = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=SuccessionKind.choices)
    effective_on = serializers.CharField(required=False)
    legal_basis = serializers.CharField(required=False, allow_blank=True)
    area_share = serializers.ChoiceField(choices=Share.choices, required=False)
    population_share = serializers.ChoiceField(choices=Share.choices, required=False)
    note = serializers.CharField(required=False, allow_blank=True)


class StagedCorrespondenceSerializer(serializers.Serializer):
    code = serializers.CharField(allow_blank=True)
    level = serializers.CharField(required=False, allow_blank=True)
    other = serializers.CharField(help_text="Code of the other table.")
    other_code = serializers.CharField(required=False, allow_blank=True, help_text="Absent with the relation `none`.")
    other_level = serializers.CharField(required=False, allow_blank=True)
    relation = serializers.CharField(help_text="One of: " + ", ".join(Relation.values))
    valid_from = serializers.CharField(required=False, allow_blank=True, help_text="The effective day when absent.")
    valid_to = serializers.CharField(required=False, allow_blank=True)
    legal_basis = serializers.CharField(required=False, allow_blank=True)
    note = serializers.CharField(required=False, allow_blank=True)


class StageSerializer(serializers.Serializer):
    """A list to stage. Rows are judged one by one; a bad row does not refuse the list."""

    rows = StagedRowSerializer(many=True)
    successions = StagedSuccessionSerializer(many=True, required=False)
    correspondences = StagedCorrespondenceSerializer(many=True, required=False, help_text="Lines of a crosswalk.")
    source = serializers.RegexField(r"^[a-z0-9:_-]{1,100}$", default="api")
    scope = serializers.ChoiceField(choices=Scope.choices, default=Scope.FULL)
    levels = serializers.ListField(child=serializers.CharField(), required=False)
    effective_on = serializers.DateField(required=False)
    instrument = serializers.CharField(required=False, allow_blank=True, max_length=300)
    instrument_date = serializers.DateField(required=False)
    expected_rows = serializers.IntegerField(required=False, min_value=0)
    note = serializers.CharField(required=False, allow_blank=True)


class PublishSerializer(VersionSerializer):
    accept = serializers.ListField(child=serializers.CharField(), required=False)
    effective_on = serializers.DateField(required=False)
    note = serializers.CharField(required=False, allow_blank=True)


class DecisionSerializer(VersionSerializer):
    note = serializers.CharField()


class SideSerializer(serializers.Serializer):
    name = serializers.CharField()
    full_name = serializers.CharField()
    parent_code = serializers.CharField(allow_null=True)
    attributes = serializers.DictField()
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)


class ChangeSerializer(serializers.Serializer):
    level = serializers.CharField()
    code = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    before = SideSerializer(allow_null=True)
    after = SideSerializer(allow_null=True)
    row_no = serializers.IntegerField(allow_null=True)
    problems = serializers.ListField(child=serializers.CharField())


class CorrectionSerializer(serializers.Serializer):
    valid_on = serializers.DateField(help_text="A day on which the entry to correct holds.")
    note = serializers.CharField()
    instrument = serializers.CharField(required=False, allow_blank=True)
    facts = serializers.DictField(
        help_text="Among name, full_name, parent_level, parent_code, attributes, valid_from, valid_to."
    )
