"""People and their roles."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.accounts.models import User
from apps.core.api.doors import Door, body, step
from apps.organizations import actions
from apps.organizations.api import filters, serializers
from apps.organizations.api.views import named
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from apps.organizations.roles import organization_ids


def _current(user) -> Prefetch:
    """The roles people hold now, those that `user` may see."""
    rows = Membership.objects.visible_to(user).current().select_related("user", "organization")
    return Prefetch("memberships", rows, to_attr="current_memberships")


class Memberships(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Who holds which role where. A member sees their own agency's; the operator and the agency's administrator change them."""

    queryset = Membership.objects.select_related("user", "organization")
    serializer_class = serializers.MembershipSerializer
    filterset_class = filters.MembershipFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    @extend_schema(request=serializers.RoleGivingSerializer, responses={201: serializers.MembershipSerializer})
    def create(self, request) -> Response:
        """Give a role (operator; an agency's administrator to its own people). Nobody gives one to themselves; a role already held is answered as it is."""
        self.may("organizations.give_role")
        facts = body(request, serializers.RoleGivingSerializer)
        user = _people(request.user).filter(uuid=facts["user"]).first()
        if user is None:
            raise Http404
        organization = named(facts["organization"], request.user)
        authority = facts.get("authority", "")
        row = actions.give_role(user, organization, facts["role"], by=request.user, authority=authority)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @step(serializers.AuthoritySerializer(partial=True), serializers.MembershipSerializer)
    def partial_update(self, request, uuid) -> Response:
        """Change by what document a signer signs (operator; an agency's administrator in the own agency). Never one's own."""
        row = self.get_object()
        self.may("organizations.give_role", row.organization)
        facts = body(request, serializers.AuthoritySerializer, partial=True)
        if "authority" in facts:
            actions.change_authority(row, by=request.user, **facts)
        return Response(self.get_serializer(row).data)

    @step(serializers.EndRoleSerializer, serializers.MembershipSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request, uuid) -> Response:
        """End a role from the next request on (operator; an agency's administrator in the own agency)."""
        row = self.get_object()
        self.may("organizations.end_role", row.organization)
        actions.end_role(row, by=request.user, **body(request, serializers.EndRoleSerializer))
        return Response(self.get_serializer(row).data)


def _people(user) -> QuerySet:
    """The platform's readers read all accounts, an agency's administrator those of its people; machines are not on it."""
    rows = User.objects.filter(is_machine=False)
    if user.has_perm("accounts.read_accounts"):
        return rows
    held = Membership.objects.filter(organization__in=organization_ids(user, Role.AGENCY_ADMIN))
    return rows.filter(pk__in=held.values("user_id"))


class People(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Accounts of people, with the roles they hold today."""

    queryset = User.objects.none()
    serializer_class = serializers.PersonSerializer
    filterset_class = filters.PersonFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return User.objects.none()
        return _people(self.request.user).prefetch_related(_current(self.request.user)).order_by("username")

    def answer(self, row, code=status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=code)

    @extend_schema(request=serializers.AccountOpeningSerializer, responses={201: serializers.PersonSerializer})
    def create(self, request) -> Response:
        """Open an account; the person is told by e-mail how to set a password (operator; an agency's administrator with a role there)."""
        self.may("accounts.open_account")
        facts = body(request, serializers.AccountOpeningSerializer)
        facts["organization"] = named(facts.get("organization"), request.user)
        return self.answer(actions.open_account(facts.pop("username"), by=request.user, **facts), status.HTTP_201_CREATED)

    @step(serializers.PersonChangeSerializer(partial=True), serializers.PersonSerializer)
    def partial_update(self, request, uuid) -> Response:
        row = self.get_object()
        self.may("accounts.change_account", row)
        actions.change_person(row, by=request.user, **body(request, serializers.PersonChangeSerializer, partial=True))
        return self.answer(row)

    @step(serializers.StepReasonSerializer, serializers.PersonSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request, uuid) -> Response:
        """Shut the account: its next request is refused (operator)."""
        return self._switch(request, "accounts.disable_account", actions.disable_person)

    @step(serializers.StepReasonSerializer, serializers.PersonSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request, uuid) -> Response:
        return self._switch(request, "accounts.enable_account", actions.enable_person)

    def _switch(self, request, permission: str, verb) -> Response:
        row = self.get_object()
        self.may(permission, row)
        return self.answer(verb(row, by=request.user, reason=body(request, serializers.StepReasonSerializer)["reason"]))

    @step(None, serializers.InitialPasswordSerializer)
    @action(detail=True, methods=["post"], url_path="initial-password")
    def initial_password(self, request, uuid) -> Response:
        """Make a one-time password for somebody who has never logged in; the answer shows it once (operator)."""
        row = self.get_object()
        self.may("accounts.set_initial_password", row)
        word = actions.set_initial_password(row, by=request.user)
        return Response({"password": word}, headers={"Cache-Control": "no-store"})
