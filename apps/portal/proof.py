"""Before a signature the portal asks again who sits there: the password now, the second factor with the login work."""

from __future__ import annotations

from allauth.core import ratelimit
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.core.errors import NotProven
from apps.portal.forms import PasswordForm


def prove(request: HttpRequest, form: PasswordForm) -> None:
    """Raise NotProven unless the form carries the person's own password; guessing is slowed by allauth's limits."""
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        raise NotProven(_("Too many attempts. Wait a minute and try again."), code="throttled")
    given = form.cleaned_data["password"] if form.is_valid() else ""
    if not given or not request.user.check_password(given):
        raise NotProven(_("The password is not right, so nothing was signed."), code="not_proved")
