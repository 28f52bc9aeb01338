"""What a failure means and what to do about it, in the words of somebody who is woken at two in the morning.

The code of a run (`error_code`) is stable and for machines; its `error_text` is what was seen. Here is what a person makes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Advice:
    """Why it failed and what a person can do."""

    why: str | Promise
    todo: str | Promise


_ABSENT = Advice(
    _("Nobody answers at the address."),
    _("The platform goes on trying. If it lasts, ask the other side whether their service runs, and look at the line between."),
)
_SLOW = Advice(
    _("The other side answers too slowly, or not at all."),
    _(
        "It usually passes. If it lasts for hours, call the other side; a long list may need a longer deadline in the settings (total_seconds)."
    ),
)
_BROKEN = Advice(
    _("The connection broke before the answer was whole; a part of a list is never used."),
    _("It usually passes. If not, ask who runs the line or a proxy between."),
)
_NO_DATA = Advice(
    _("A page or broken bytes came instead of data, such as a log-in or maintenance page."),
    _("It usually passes. If it lasts, ask the other side whether they are under maintenance."),
)
_CREDENTIAL = Advice(
    _("The other side refuses our credential. We stop at once, so that the account is not locked."),
    _("Get a valid key and secret, enter them at the source under “New credential”, then press “Run now”."),
)
_FORBIDDEN = Advice(
    _("The credential is good, but it may not use this interface."),
    _("Ask the platform that gives the interface to open it for our application, then press “Run now”."),
)
_ELSEWHERE = Advice(
    _("The other side does not know this address or this list."),
    _("Compare base address and the names of the lists in the settings with what they published, then press “Run now”."),
)
_BUSY = Advice(
    _("We called too often, or our quota is used up."),
    _(
        "It passes by itself: the next attempt waits as long as they ask. If it happens often, lengthen the interval or ask for a larger quota."
    ),
)
_BEHIND = Advice(
    _("Their gateway answers, but the system behind it does not."),
    _("It usually passes. If it lasts, report it to the other side with the time and the code."),
)
_SHAPE = Advice(
    _("The data has another shape than agreed: the other side changed its interface."),
    _("Compare it with their description, adjust the columns in the settings of the source, then press “Run now”."),
)
_MOVING = Advice(
    _("The list changed while it was read, so its pages do not fit together."),
    _("Nothing to do: it is read again from the beginning."),
)
_MEANWHILE = Advice(_("Somebody changed the same rows at the same moment."), _("Nothing to do: it is tried again."))
_OURS = Advice(
    _("An error of this platform itself."),
    _("Give the identifier of the run to technical support: the log of the worker holds the details."),
)

_ADVICE: dict[str, Advice] = {
    "connect_failed": _ABSENT,
    "unresolved": Advice(
        _("The name of the server cannot be found."),
        _("Check the base address of the source; if it is right, the name service (DNS) of this machine needs help."),
    ),
    "egress_refused": Advice(
        _("The address is not among those this platform may call."),
        _("Check the base address; if it is right, the system administrator adds it to LGSP_EGRESS_ALLOW."),
    ),
    "timed_out": _SLOW,
    "reset": _BROKEN,
    "truncated": _BROKEN,
    "not_json": _NO_DATA,
    "tls_failed": Advice(
        _("The certificate of the other side is not trusted."),
        _("Never switch the check off. Ask them for a valid certificate, or have their authority added (LGSP_CA_FILE)."),
    ),
    "redirected": Advice(
        _("The other side sends us to another address; for safety we do not follow."),
        _("Ask them for the new base address and enter it at the source."),
    ),
    "encoded": Advice(
        _("The answer is compressed though we asked for plain bytes."),
        _("Ask the other side (or a proxy between) to honour “Accept-Encoding: identity”."),
    ),
    "too_large": Advice(
        _("The answer is larger than any catalog could be."),
        _("Ask the other side what they sent; nothing of it was used."),
    ),
    "upstream_auth_refused": _CREDENTIAL,
    "upstream_auth_unreadable": Advice(
        _("Their token service does not work."),
        _("It usually passes. If it lasts, report it to the other side; check the token address of the source."),
    ),
    "wrong_shape": _SHAPE,
    "columns_missing": _SHAPE,
    "refused": Advice(
        _("The other side understood the question and refused it."),
        _("Read their words above, and check dates and page size in the settings of the source."),
    ),
    "not_stored": Advice(
        _("The other side did not store the rows we sent."),
        _("Read their words above. Have the agency that owns the row correct it, run again and approve the new difference."),
    ),
    "not_supported": Advice(
        _("This adapter cannot do what the source asks of it."),
        _("Choose another adapter in the settings of the source."),
    ),
    "inconsistent_pages": _MOVING,
    "budget_spent": Advice(
        _("The run was begun as often as allowed, and each time its worker died."),
        _("Look at memory and log of the worker, then press “Run now”."),
    ),
    "conflict": _MEANWHILE,
    "transition_not_allowed": _MEANWHILE,
    "stale_version": _MEANWHILE,
    "unexpected": _OURS,
}
_PATTERNS: tuple[tuple[re.Pattern, Advice], ...] = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (r"wso2_90090[0123]|http_401", _CREDENTIAL),
        (r"wso2_9009(08|09|10)|http_403", _FORBIDDEN),
        (r"wso2_90090[67]|http_40[45]", _ELSEWHERE),
        (r"wso2_9008\d\d|http_429", _BUSY),
        (r"wso2_\d+|http_5\d\d|http_4(08|25)", _BEHIND),
        (r"http_4\d\d", _SHAPE),
    )
)


def advice_of(code: str) -> Advice | None:
    """What the code of a failure means; None without a code."""
    if not code:
        return None
    if code in _ADVICE:
        return _ADVICE[code]
    return next((advice for pattern, advice in _PATTERNS if pattern.fullmatch(code)), _OURS)
