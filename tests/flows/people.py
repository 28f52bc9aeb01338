"""People and systems as they meet the platform: over HTTP, with nothing but what they were given."""

from __future__ import annotations

from urllib.parse import urljoin

import requests

TIMEOUT = (30, 120)


class Person:
    """Somebody with a browser session; `api` calls the REST API the way the portal's own pages would."""

    def __init__(self, portal: str, username: str, password: str) -> None:
        self.portal, self.session = portal.rstrip("/") + "/", requests.Session()
        self.session.trust_env = False
        page = self.session.get(urljoin(self.portal, "accounts/login/"), timeout=TIMEOUT)
        page.raise_for_status()
        form = {"login": username, "password": password, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        answer = self.session.post(page.url, form, headers={"Referer": page.url}, timeout=TIMEOUT, allow_redirects=False)
        assert answer.status_code == 302, f"{username} could not log in: {answer.status_code}"

    def api(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """Call `/api/v1/{path}`; unsafe methods carry the CSRF token."""
        headers = {"X-CSRFToken": self.session.cookies.get("csrftoken", ""), "Referer": self.portal, **headers}
        url = urljoin(self.portal, f"api/v1/{path}")
        return self.session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)

    def page(self, path: str) -> str:
        """The text of a page of the portal."""
        answer = self.session.get(urljoin(self.portal, path), timeout=TIMEOUT)
        assert answer.ok, f"{answer.url}: {answer.status_code}"
        return answer.text

    def get(self, path: str) -> dict:
        return _good(self.api("GET", path))

    def post(self, path: str, body: object = None, **headers: str) -> dict:
        return _good(self.api("POST", path, {} if body is None else body, **headers))

    def send(self, path: str, fields: dict, files: dict) -> dict:
        """A form with files, as a browser sends it."""
        headers = {"X-CSRFToken": self.session.cookies.get("csrftoken", ""), "Referer": self.portal}
        url = urljoin(self.portal, f"api/v1/{path}")
        parts = {**{name: (None, value) for name, value in fields.items()}, **files}
        return _good(self.session.post(url, files=parts, headers=headers, timeout=TIMEOUT))

    def put(self, path: str, body: object) -> dict:
        return _good(self.api("PUT", path, body))

    def patch(self, path: str, body: object) -> dict:
        return _good(self.api("PATCH", path, body))


class System:
    """A consumer's software: it has a client id and secret, asks for tokens and calls through the gateway."""

    def __init__(self, gateway: str, client_id: str, client_secret: str) -> None:
        self.gateway, self.account = gateway, (client_id, client_secret)
        self.session = requests.Session()
        self.session.trust_env = False
        self.token = ""

    def log_in(self) -> None:
        form = {"grant_type": "client_credentials"}
        answer = self.session.post(f"{self.gateway}/oauth/token", form, auth=self.account, timeout=TIMEOUT)
        self.token = _good(answer)["access_token"]

    def call(self, path: str, purpose: str, **headers: str) -> requests.Response:
        if not self.token:
            self.log_in()
        headers = {"Authorization": f"Bearer {self.token}", "X-Purpose-Code": purpose, **headers}
        return self.session.get(f"{self.gateway}/gw/{path}", headers=headers, timeout=TIMEOUT)


def _good(answer: requests.Response) -> dict:
    assert answer.ok, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:1000]}"
    return answer.json() if answer.content else {}
