from __future__ import annotations

from django.contrib import admin
from django.db.models import Prefetch
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.decorators import display

from apps.accounts.models import User
from apps.core.registers import ReasonForm, VerbPage, facts_of
from apps.organizations import actions, forms
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from apps.organizations.registers import AuditedRegister


def give(request, _obj, form):
    facts = form.facts()
    return actions.give_role(facts.pop("username"), facts.pop("organization"), facts.pop("role"), by=request.user, **facts)


def open_account(request, _obj, form):
    facts = form.facts()
    return actions.open_account(facts.pop("username"), by=request.user, **facts)


@never_cache
def show_initial_password(request, user, _form):
    """Shown on this one page, kept nowhere."""
    word = actions.set_initial_password(user, by=request.user)
    context = {"title": str(_("One-time password")), "person": user, "word": word}
    return render(request, "organizations/initial_password.html", context)


@admin.register(Membership)
class MembershipAdmin(AuditedRegister):
    """Roles. They are ended, never deleted: who could do what on which day stays known."""

    list_display = ["user", "organization", "role", "given_by", "created_at", "ended_at"]
    list_filter = ["role"]
    list_select_related = ["user", "organization", "given_by"]
    search_fields = ["user__full_name", "user__username", "organization__folded"]
    fields = ["user", "organization", "role", "authority", "given_by", "created_at", "ended_at"]
    readonly_fields = ["created_at"]
    verb_pages = (
        VerbPage("give", _("Give a role"), give, "organizations.give_role", forms.RoleForm, "primary", on_list=True,
                 help=_("Nobody gives a role to themselves, and an auditor holds no other role.")),
        VerbPage("authority", _("Change the authorizing document"), facts_of(actions.change_authority), "organizations.give_role",
                 forms.AuthorityForm, help=_("Agreements made from now on name it; those that stand say what they said."),
                 when=lambda row: row.ended_at is None and row.role == Role.SIGNER),
        VerbPage("end", _("End the role"), facts_of(actions.end_role), "organizations.end_role", forms.OptionalReasonForm,
                 "danger", when=lambda row: row.ended_at is None),
    )  # fmt: skip


@admin.register(User)
class UserAdmin(AuditedRegister):
    """Accounts of people, for the operator, the legal officer and the auditor."""

    list_display = ["full_name", "username", "position", "email", "roles", "is_active", "last_login"]
    list_filter = ["is_active"]
    search_fields = ["full_name", "username", "email"]
    ordering = ["username"]
    fields = ["full_name", "username", "position", "email", "phone", "is_active", "last_login", "roles"]
    readonly_fields = ["roles", "last_login"]
    verb_pages = (
        VerbPage("open", _("Open an account"), open_account, "accounts.open_account", forms.AccountForm, "primary", on_list=True,
                 help=_("The person is told by e-mail how to set a password.")),
        VerbPage("change", _("Change"), facts_of(actions.change_person), "accounts.change_account", forms.PersonChangeForm),
        VerbPage("initial-password", _("Make a one-time password"), show_initial_password, "accounts.set_initial_password",
                 help=_("For somebody who has never logged in and has no e-mail. It is shown once and must be changed."),
                 when=lambda user: user.last_login is None and user.is_active),
        VerbPage("disable", _("Disable"), facts_of(actions.disable_person), "accounts.disable_account", ReasonForm, "danger",
                 when=lambda user: user.is_active),
        VerbPage("enable", _("Enable"), facts_of(actions.enable_person), "accounts.enable_account", ReasonForm,
                 when=lambda user: not user.is_active),
    )  # fmt: skip

    def has_module_permission(self, request) -> bool:
        return super().has_module_permission(request) and request.user.has_perm("accounts.read_accounts")

    def has_view_permission(self, request, obj=None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("accounts.read_accounts")

    def get_queryset(self, request):
        current = Membership.objects.current().select_related("organization")
        rows = super().get_queryset(request).filter(is_machine=False)
        return rows.prefetch_related(Prefetch("memberships", current, to_attr="current_memberships"))

    @display(description=_("roles"))
    def roles(self, row):
        return "; ".join(f"{held.get_role_display()} – {held.organization}" for held in row.current_memberships) or "–"
