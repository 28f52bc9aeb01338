"""Lifecycles in the API: what a person may do now, and doing it."""

from __future__ import annotations

from collections.abc import Callable

from rest_framework import serializers
from rest_framework.response import Response

from apps.core.workflow import Workflow


class StepSerializer(serializers.Serializer):
    """One step of a lifecycle that the caller may take now."""

    verb = serializers.CharField()
    label = serializers.CharField()
    style = serializers.CharField()


class VersionSerializer(serializers.Serializer):
    """`version` is what the caller decided on; an older one than the stored is refused with 409 `stale_version`."""

    version = serializers.IntegerField(required=False, min_value=1)


def steps_for(workflow: Workflow, obj, user) -> list[dict]:
    return StepSerializer(workflow.available(obj, user), many=True).data


class TakesSteps:
    """For viewsets: read the body, call the verb on the visible row, answer with the row as it is now."""

    def act(self, request, serializer: type[serializers.Serializer], verb: Callable) -> Response:
        """`verb(obj, by=…, **body)`; the answer is the row by the viewset's `detail_serializer_class`."""
        obj = self.get_object()
        given = serializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        verb(obj, by=request.user, **given.validated_data)
        return Response(self.shown(obj))

    def shown(self, obj) -> dict:
        return self.detail_serializer_class(obj, context=self.get_serializer_context()).data
