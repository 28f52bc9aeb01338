"""allauth: no self-registration; failed logins are counted per account, whatever way its name is written."""

from __future__ import annotations

import unicodedata

from allauth.account.adapter import DefaultAccountAdapter
from django.db.models import Q

from apps.accounts import actions
from apps.accounts.models import User
from apps.audit import actions as audit


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request) -> bool:
        return False

    def set_password(self, user, password) -> None:
        actions.set_own_password(user, password)

    def post_login(self, request, user, **kwargs):
        audit.record("session.opened", user, by=user)
        return super().post_login(request, user, **kwargs)

    def authentication_failed(self, request, **credentials) -> None:
        """A refused login of an existing account is written down; names of no account are only counted by the throttle."""
        user = self._account(credentials)
        if user is not None:
            audit.record("session.refused", user, by=None, outcome="refused")

    def _get_login_attempts_cache_key(self, request, **credentials) -> str:
        """One bucket an account: user name or e-mail, upper or lower case, full-width letters, all the same (AN-06)."""
        user = self._account(credentials)
        return f"login:{user.pk}" if user else f"login:{_plain(_login_of(credentials))[:100]}"

    @staticmethod
    def _account(credentials) -> User | None:
        login = _login_of(credentials)
        given = {login, _plain(login)}
        same = Q()
        for name in given:
            same |= Q(username__iexact=name) | Q(email__iexact=name)
        return User.objects.filter(same).order_by("pk").first() if login else None


def _login_of(credentials) -> str:
    return str(credentials.get("email") or credentials.get("username") or "").replace("\x00", "")


def _plain(login: str) -> str:
    return unicodedata.normalize("NFKC", login).strip().casefold()
