"""Every way a call can be refused or fail: one stable code each, the basis it rests on, what to do next.

Codes are part of the interface and never change; texts may. The documentation's table and the tests are made from this
one (`docs/refusals.md`). `fix` says where the link of the answer leads (`problems.NEEDED` lists the places, the portal's
`views.cures` follows them): the form of a new request already filled in, the page on which a change or a renewal of the
agreement is asked for, the agreement, the account, the service, or nowhere.
`durable` refusals are written to the log row by row; the others are counted: they come from callers nobody knows, or when the
gateway cannot write.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

ACCOUNT, SCOPE, CONTENT, SUSPENSION = "account", "scope", "content", "suspension"
TERMINATION, RECORD, PURPOSE, REGULATION = "termination", "record", "purpose", "regulation"
"""Codes of `legal.LegalBasis`: which provision stands behind each is a row with dates, changed by the legal officer."""


@dataclass(frozen=True)
class Refusal:
    """One row of the table. `title` and `next_step` are translated when an answer is built."""

    code: str
    status: int
    title: object
    next_step: object
    basis: str = ""
    fix: str = ""
    retry_after: int = 0
    durable: bool = True


_ROWS = (
    # --- who is calling
    Refusal("credential_missing", 401, _("No access token was given."),
            _("Ask for a token at /oauth/token with the system's account and send it as “Authorization: Bearer …”."), ACCOUNT, durable=False),
    Refusal("token_invalid", 401, _("The access token is not known."),
            _("Ask for a new token at /oauth/token."), ACCOUNT, durable=False),
    Refusal("credential_revoked", 401, _("The account of this system was revoked."),
            _("Ask the operator for a new account."), ACCOUNT, "system"),
    Refusal("credential_expired", 401, _("The account of this system has expired."),
            _("Ask the operator for a new account."), ACCOUNT, "system"),
    Refusal("token_expired", 401, _("The access token has expired or was revoked."), _("Ask for a new token at /oauth/token."), ACCOUNT),
    Refusal("certificate_mismatch", 401, _("The token is bound to another client certificate."),
            _("Connect with the certificate the account was issued for."), ACCOUNT),
    Refusal("system_not_active", 403, _("The calling system is suspended or retired."),
            _("Ask the operator why and what would restore it."), SUSPENSION, "system"),
    Refusal("consumer_not_active", 403, _("The organization of the calling system is suspended or closed."),
            _("Ask the operator why and what would restore it."), SUSPENSION),
    # --- what is asked
    Refusal("path_ambiguous", 400, _("The address could be read in more than one way."),
            _("Send plain path segments; percent-encode only what must be, once.")),
    Refusal("service_unknown", 404, _("There is no such service."), _("See the list of services in the portal."), fix="services"),
    Refusal("version_retired", 410, _("This version of the service was retired."),
            _("Call the version in force; see the service's page."), TERMINATION, "service"),
    Refusal("operation_unknown", 404, _("The service has no such operation."), _("See the service's description."), fix="service"),
    Refusal("method_not_allowed", 405, _("The operation is not called by this method."), _("See the service's description."), fix="service"),
    Refusal("parameter_undeclared", 400, _("A parameter is not declared for this operation."), _("See the service's description."), fix="service"),
    Refusal("parameter_repeated", 400, _("A parameter was given more than once."), _("Give each parameter once.")),
    Refusal("parameter_missing", 400, _("A required parameter is missing."), _("See the service's description."), fix="service"),
    Refusal("parameter_invalid", 400, _("A parameter's value has not the declared form."), _("See the service's description."), fix="service"),
    Refusal("code_not_exact", 400, _("A code has no single equivalent on the provider's day; none was chosen for you."),
            _("Choose one of the candidates in this answer, or look the code up in the shared catalog."), fix="service"),
    Refusal("codes_not_ready", 503, _("The table of old and new codes is not made yet."), _("Try again in a minute."), retry_after=60),
    Refusal("body_invalid", 400, _("The body is not what this operation takes."), _("Send JSON in UTF-8, or no body for GET.")),
    Refusal("body_too_large", 413, _("The body is larger than allowed."), _("Send less at once.")),
    Refusal("body_too_slow", 408, _("The body did not arrive in time."), _("Send the whole body at once.")),
    Refusal("header_invalid", 400, _("A header of the platform is repeated or not well formed."), _("Send each of them once.")),
    Refusal("idempotency_key_missing", 400, _("A call that may change something needs an Idempotency-Key."),
            _("Send a fresh key with each new call, and the same key when you repeat one.")),
    # --- may it pass
    Refusal("grant_missing", 403, _("No agreement in force lets this system call this operation."),
            _("File a connection request for this operation."), SCOPE, "request"),
    Refusal("environment_mismatch", 403, _("The right exists in the other environment only."),
            _("Use the account of that environment, or finish the acceptance of the test to open production."), SCOPE, "agreement"),
    Refusal("grant_suspended", 403, _("This right is suspended."), _("See the reason and the conditions in the agreement."), SUSPENSION, "agreement"),
    Refusal("grant_ended", 403, _("This right has ended."), _("File a new connection request."), TERMINATION, "request"),
    Refusal("grant_not_yet_valid", 403, _("This right is not valid yet."), _("Call again when it begins."), CONTENT, "agreement"),
    Refusal("grant_expired", 403, _("This right has expired."), _("Ask for a renewal."), TERMINATION, "renewal"),
    Refusal("agreement_suspended", 403, _("The agreement is suspended."),
            _("See the reason and the conditions in the agreement."), SUSPENSION, "agreement"),
    Refusal("maintenance", 503, _("The agreement is suspended for the announced time."),
            _("Call again after the end that is named here."), SUSPENSION, "agreement", 60),
    Refusal("agreement_not_in_force", 403, _("The agreement is not in force."), _("See its state in the portal."), CONTENT, "agreement"),
    Refusal("agreement_expired", 403, _("The agreement has expired."), _("Ask for a renewal."), TERMINATION, "renewal"),
    Refusal("service_not_active", 503, _("The service is suspended by its provider."),
            _("Ask the provider; its contact is on the service's page."), SUSPENSION, "service", 300),
    Refusal("service_maintenance", 503, _("The service is being maintained for the announced time."),
            _("Call again after the end that is named here."), SUSPENSION, "service", 60),
    Refusal("provider_not_active", 503, _("The providing organization is suspended or closed."), _("Ask the operator."), SUSPENSION, "service"),
    Refusal("purpose_missing", 403, _("The purpose of the call was not named."),
            _("Send X-Purpose-Code with the purpose of your agreement."), PURPOSE, "agreement"),
    Refusal("purpose_not_granted", 403, _("The agreement does not cover this purpose."),
            _("Use the purpose of your agreement, or file a request for this one."), PURPOSE, "request"),
    Refusal("outside_hours", 403, _("The agreement allows calls at other hours only."), _("Call within the agreed hours, or ask for a change."), CONTENT, "change"),
    Refusal("network_not_allowed", 403, _("The agreement does not allow calls from this network address."),
            _("Call from an agreed address, or ask for a change."), CONTENT, "change"),
    Refusal("feed_not_granted", 403, _("The agreement does not give the field without which this feed says nothing."),
            _("Ask for a change of the agreement that adds the code of the enterprise."), SCOPE, "change"),
    Refusal("kind_not_open", 403, _("Update connections are not opened on this platform yet."), _("Use a read operation."), REGULATION),
    Refusal("rate_exceeded", 429, _("More calls in this second than the agreement allows."), _("Spread the calls, or ask for a higher rate."), CONTENT, "change", 1),
    Refusal("quota_day_exceeded", 429, _("The calls of this day are used up."),
            _("Call again tomorrow, or ask for a larger quota."), CONTENT, "change"),
    Refusal("quota_month_exceeded", 429, _("The calls of this month are used up."),
            _("Call again next month, or ask for a larger quota."), CONTENT, "change"),
    # --- the same call again
    Refusal("already_completed", 409, _("A call with this Idempotency-Key was already completed."),
            _("Its id, outcome and digest are in this answer; bodies are not kept. "
              "Where the outcome is not “delivered”, no answer was given: call again with a fresh key.")),
    Refusal("still_running", 409, _("A call with this Idempotency-Key is still running."), _("Wait, then repeat with the same key."), retry_after=5),
    Refusal("idempotency_key_reused", 409, _("This Idempotency-Key was used for a different call."), _("Use a fresh key.")),
    # --- the platform
    Refusal("overloaded", 503, _("The gateway has too many calls waiting."), _("Try again in a moment."), retry_after=1, durable=False),
    Refusal("not_ready", 503, _("The gateway cannot decide or record calls at the moment, so it lets none pass."),
            _("Try again in a moment."), RECORD, retry_after=2, durable=False),
    Refusal("upstream_not_configured", 503, _("The service has no provider address in this environment."), _("Ask the operator."), fix="service"),
    Refusal("provider_busy", 503, _("The provider is serving as many calls as it allows."), _("Try again in a moment."), retry_after=1),
    Refusal("provider_unavailable", 503, _("The provider failed repeatedly and gets a pause."), _("Try again later."), retry_after=10),
)  # fmt: skip
REFUSALS: dict[str, Refusal] = {row.code: row for row in _ROWS}

_FAILURES = (
    Refusal("provider_timeout", 504, _("The provider did not answer in time."), _("Try again later."), retry_after=5),
    Refusal("provider_unreachable", 502, _("The provider could not be reached."), _("Try again later."), retry_after=5),
    Refusal("provider_address_refused", 502, _("The provider's address may not be called."), _("Ask the operator.")),
    Refusal("provider_tls_failed", 502, _("The provider's certificate is not trusted."), _("Ask the operator.")),
    Refusal("provider_auth_failed", 502, _("The provider does not accept the platform's own account."), _("Ask the operator.")),
    Refusal("provider_protocol_error", 502, _("The provider's answer is not well-formed HTTP or was cut short."), _("Ask the provider.")),
    Refusal("provider_too_large", 502, _("The provider's answer is larger than agreed."), _("Ask for less at once.")),
    Refusal("provider_not_json", 502, _("The provider's answer is not of the declared form, so nothing of it is passed on."), _("Ask the provider.")),
    Refusal("provider_redirected", 502, _("The provider tried to send the call elsewhere."), _("Ask the operator.")),
    Refusal("provider_failed", 502, _("The provider answered with an internal error."), _("Try again later, or ask the provider.")),
    Refusal("provider_refused", 400, _("The provider refused the call."), _("Check the parameters against the service's description."), fix="service"),
    Refusal("record_failed", 503, _("The outcome could not be recorded, so the answer is not given."), _("Try again in a moment."), RECORD, retry_after=2),
    Refusal("gateway_lost", 502, _("The connection to the gateway broke during the call; the provider may have been asked by then."),
            _("A reading call may be repeated; one that may change something only with the same Idempotency-Key.")),
    Refusal("gateway_exhausted", 503, _("The gateway has no connection or no memory left for this call."),
            _("Try again in a moment."), retry_after=1),
    Refusal("internal", 500, _("The gateway failed."), _("Report the call id to the operator.")),
)  # fmt: skip
FAILURES: dict[str, Refusal] = {row.code: row for row in _FAILURES}
TABLE: dict[str, Refusal] = REFUSALS | FAILURES


class Refused(Exception):
    """A call is not let through. `facts` are JSON-ready and reveal nothing about anybody but the caller.

    `operation` and `grant` are rows of the policy, as far as the decision came: the log and the link name them.
    """

    def __init__(self, code: str, **facts: object) -> None:
        self.row = TABLE[code]
        self.code = code
        self.facts = facts
        self.operation = self.grant = None
        super().__init__(code)
