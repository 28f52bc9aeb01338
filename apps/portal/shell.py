"""What surrounds every page: the menu by role, the bell, the names of the platform.

The menu offers only what the person may open. Pages of an app's own admin appear when the app registered
the model and its ModelAdmin says yes, so that this list never decides a right by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.roles import has_role, roles_of


def anybody(user) -> bool:
    return bool(roles_of(user))


def holds(*roles: Role) -> Callable[[object], bool]:
    return lambda user: any(has_role(user, role) for role in roles)


CONTROL = holds(Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR)
PROVIDING = holds(Role.PROVIDER_OFFICER, Role.SIGNER, Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR)


@dataclass(frozen=True)
class Item:
    """One line of the menu: a page by URL name, or the list of a model in the registers."""

    label: object
    icon: str
    url: str = ""
    model: str = ""
    may: Callable[[object], bool] = anybody

    def address(self, request: HttpRequest) -> str:
        """The page's address, or empty when this person has nothing to do there."""
        if not self.may(request.user):
            return ""
        try:
            return self._register(request) if self.model else reverse(self.url)
        except (LookupError, NoReverseMatch):
            return ""

    def _register(self, request: HttpRequest) -> str:
        model = apps.get_model(self.model)
        model_admin = admin.site._registry.get(model)
        if model_admin is None or not admin.site.has_permission(request) or not model_admin.has_view_permission(request):
            return ""
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@dataclass(frozen=True)
class Group:
    label: object
    items: tuple[Item, ...] = field(default_factory=tuple)


MENU = (
    Group(
        _("Work"),
        (
            Item(_("Home"), "home", "home"),
            Item(_("Connection requests"), "assignment", "portal:requests"),
            Item(_("Overdue cases"), "schedule", "portal:overdue"),
            Item(_("Agreements"), "handshake", "portal:agreements"),
            Item(_("Accounts of systems"), "key", "portal:accounts"),
            Item(_("Data services"), "database", "portal:services"),
            Item(_("Disputes"), "flag", "portal:disputes"),
            Item(_("Questions and reports"), "contact_support", "portal:tickets"),
            Item(_("Notices"), "notifications", "portal:notices"),
        ),
    ),
    Group(
        _("Sharing of data"),
        (
            Item(_("Services of my agency"), "dns", "portal:offers", may=PROVIDING),
            Item(_("Usage regulations"), "gavel", "portal:regulations"),
            Item(_("Default-share lists"), "fact_check", "portal:default-lists"),
        ),
    ),
    Group(
        _("Operation"),
        (
            Item(_("Gateway"), "swap_horiz", "portal:gateway"),
            Item(_("Shared catalogs"), "category", "portal:catalogs"),
            Item(_("Releases of catalogs"), "new_releases", "portal:catalog-releases"),
            Item(_("Sources of synchronization"), "sync", model="sync.Source"),
            Item(_("Synchronization runs"), "history", model="sync.SyncRun"),
        ),
    ),
    Group(
        _("Directory"),
        (
            Item(_("Agencies"), "account_balance", "portal:agencies"),
            Item(_("Merge agencies"), "merge", "portal:reorganization", may=holds(Role.OPERATOR)),
            Item(_("Information systems"), "computer", model="organizations.InformationSystem"),
            Item(_("Roles of people"), "badge", model="organizations.Membership"),
            Item(_("People"), "group", model="accounts.User"),
        ),
    ),
    Group(
        _("Law and control"),
        (
            Item(_("Deadline calculator"), "calculate", "portal:calculator"),
            Item(_("Legal rules"), "balance", model="legal.LegalRule", may=CONTROL),
            Item(_("Purposes of use"), "flag", model="registry.Purpose", may=CONTROL),
            Item(_("Refusal grounds"), "block", model="legal.RefusalGround", may=CONTROL),
            Item(_("Provisions on calls"), "gavel", model="legal.LegalBasis", may=CONTROL),
            Item(_("Standard clauses"), "article", model="agreements.StandardClause", may=CONTROL),
            Item(_("Calendar exceptions"), "calendar_month", model="legal.CalendarException", may=CONTROL),
            Item(_("Audit log"), "policy", model="audit.AuditEvent", may=CONTROL),
        ),
    ),
)


def menu(request: HttpRequest) -> list[dict]:
    """Groups with the lines this person may open; `current` marks the page they are on (the longest match)."""
    groups = []
    for group in MENU:
        lines = [{"label": item.label, "icon": item.icon, "url": url} for item in group.items if (url := item.address(request))]
        if lines:
            groups.append({"label": group.label, "lines": lines})
    matching = [line for group in groups for line in group["lines"] if _is_within(request.path, line["url"])]
    if matching:
        max(matching, key=lambda line: len(line["url"]))["current"] = True
    return groups


def _is_within(path: str, url: str) -> bool:
    return path == url or (url != reverse("home") and path.startswith(url))


PLATFORM = {"name": _("Data integration and sharing platform"), "short": "LGSP"}


def unread(user) -> int:
    return Notice.objects.filter(recipient=user, read_at__isnull=True).count() if user.is_authenticated else 0


def context(request: HttpRequest) -> dict:
    """Context processor: lazy, so that a page without the shell (an error, an e-mail) costs no query."""
    user = getattr(request, "user", None)
    if user is None:
        return {"platform": PLATFORM}
    return {
        "platform": PLATFORM,
        "shell_menu": SimpleLazyObject(lambda: menu(request)),
        "shell_unread": SimpleLazyObject(lambda: unread(user)),
        "shell_roles": SimpleLazyObject(lambda: role_names(user)),
        "may_request": SimpleLazyObject(lambda: has_role(user, Role.CONSUMER_OFFICER)),
    }


def role_names(user) -> list[str]:
    """What the person is and where, for the person's own menu: `Signer – Department of Home Affairs`."""
    if not user.is_authenticated:
        return []
    rows = user.memberships.filter(ended_at__isnull=True, organization__status="active").select_related("organization")
    return [f"{row.get_role_display()} – {row.organization}" for row in rows]
