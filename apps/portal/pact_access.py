"""The pieces of an agreement's page that tell of access: grants, accounts, test records."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext_lazy

from apps.agreements.choices import AgreementStatus, CredentialStatus, GrantStatus
from apps.agreements.models import AcceptanceRecord, Agreement, AgreementVersion, Credential
from apps.agreements.suspensions import has_suspended
from apps.agreements.workflow import ACCEPTANCE, CREDENTIAL, GRANT
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.portal.forms import CommentForm, ReasonForm
from apps.portal.pact_forms import AcceptanceForm
from apps.portal.pact_suspensions import suspension_help, who_resumes
from apps.portal.panel import Button, buttons
from apps.registry.choices import Environment
from apps.registry.models import Field

MOST_GRANTS = 200

GRANT_FORMS = {"suspend": ReasonForm, "end": ReasonForm}
ACCEPTANCE_FORMS = {"confirm": CommentForm, "reject": CommentForm}
CREDENTIAL_FORMS = {"revoke": ReasonForm}


def reissuable(agreement: Agreement, user) -> list[tuple]:
    """(system, environment, its name) that have access and no account that works, as far as `user` issues accounts."""
    pairs = agreement.grants.exclude(status=GrantStatus.ENDED).values_list("system_id", "environment").distinct()
    live = Credential.objects.exclude(status=CredentialStatus.REVOKED).exclude(expires_at__lte=timezone.now())
    held = set(live.filter(system_id__in=[pk for pk, _env in pairs]).values_list("system_id", "environment"))
    missing = [pair for pair in pairs if pair not in held]
    systems = InformationSystem.objects.in_bulk([pk for pk, _env in missing])
    return [
        (systems[pk], environment, Environment(environment).label)
        for pk, environment in missing
        if user.has_perm("agreements.reissue_credential", Credential(system=systems[pk], environment=environment))
    ]


def _count_fields(rows: list) -> None:
    """Agreed data fields as the content counts them; the envelope, which comes with every grant, apart. Two queries."""
    paths = Field.objects.filter(operation__in={row.operation_id for row in rows}, is_envelope=True)
    envelope = set(paths.values_list("operation_id", "path"))
    versions = AgreementVersion.objects.in_bulk({row.version_of_id for row in rows})
    agreed = {
        (pk, part["service"], part["operation"]): {field["path"] for field in part["fields"]}
        for pk, version in versions.items() for part in version.content["scope"]
    }  # fmt: skip
    for row in rows:
        key = (row.version_of_id, row.operation.version.service.code, row.operation.code)
        came_along = {path for path in row.fields if (row.operation_id, path) in envelope} - agreed.get(key, set())
        row.envelope_count = len(came_along)
        row.field_count = len(row.fields) - len(came_along)


def grants(agreement: Agreement, user) -> list:
    rows = agreement.grants.select_related(
        "system__organization", "operation__version__service__provider", "purpose"
    ).prefetch_related("suspensions__provider")
    if agreement.read_until:
        rows = rows.filter(system__organization_id__in=organization_ids(user))
    found = list(rows.order_by("system__sort_key", "operation_id", "environment", "is_planned", "-id")[:MOST_GRANTS])
    _count_fields(found)
    for row in found:
        standing = row.standing_suspensions()
        hide = ("suspend",) if has_suspended(row, user) else ()
        row.standing = who_resumes(row)
        row.buttons = (
            []
            if row.is_planned
            else buttons(GRANT, row, user, GRANT_FORMS, suspension_help(row, standing, user) if standing else {}, hide=hide)
        )
    return found


def credentials(agreement: Agreement, user) -> list:
    """Accounts of the systems that have access under this agreement, as far as the person may see them."""
    systems = agreement.grants.values("system_id")
    rows = (
        Credential.objects.visible_to(user).filter(system_id__in=systems).select_related("system__organization", "claimed_by")
    )
    return list(rows.order_by("system__sort_key", "environment", "-id")[:MOST_GRANTS])


def credential_buttons(credential: Credential, user) -> list[Button]:
    told = {
        "claim": gettext_lazy("The secret is made at this moment and shown once. Have a safe place ready to keep it."),
        "rotate": gettext_lazy("Issues a successor to collect; the present account goes on for the overlap after that."),
        "revoke": gettext_lazy("Ends the account at once: no token of it opens a call any more."),
    }
    return buttons(CREDENTIAL, credential, user, CREDENTIAL_FORMS, told)


def acceptances(agreement: Agreement, user) -> list:
    rows = AcceptanceRecord.objects.visible_to(user).filter(agreement=agreement)
    found = list(rows.select_related("system", "recorded_by", "decided_by", "agreement").order_by("-id"))
    for row in found:
        row.buttons = buttons(ACCEPTANCE, row, user, ACCEPTANCE_FORMS, {}) if row.recorded_by_id != user.pk else []
    return found


def acceptance_form(agreement: Agreement, user, data=None) -> AcceptanceForm | None:
    """The form to enter a test record; None when the person has no system here that waits for one."""
    if agreement.status != AgreementStatus.IN_FORCE or not user.has_perm("agreements.record_acceptance", agreement):
        return None
    tested = agreement.grants.filter(environment=Environment.TEST).exclude(status=GrantStatus.ENDED).values("system_id")
    done = AcceptanceRecord.objects.filter(
        agreement=agreement, for_version=agreement.current_version, status__in=("recorded", "confirmed")
    ).values("system_id")
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    systems = InformationSystem.objects.filter(pk__in=tested, organization_id__in=mine).exclude(pk__in=done)
    return AcceptanceForm(data, systems=systems) if systems.exists() else None
