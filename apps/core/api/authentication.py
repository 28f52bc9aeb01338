"""People use the API by their portal session; without one the answer is 401, not 403."""

from rest_framework import authentication


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's session with CSRF protection on unsafe methods."""

    def authenticate_header(self, request) -> str:
        return "Session"
