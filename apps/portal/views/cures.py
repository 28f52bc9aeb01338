"""Where the link of a gateway's refusal leads: the page on which a person can mend what the refusal says.

Whoever follows it sees only what they may see there; the link itself tells nothing.
"""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.portal.doors import asked, page

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,59}")
PLACES = {
    "services": "portal:services",
    "agreement": "portal:agreements",
    "system": "portal:agreements",
    "refusal": "portal:gateway",
}


@page
def cure(request: HttpRequest, fix: str) -> HttpResponse:
    """Send the reader on: to the request form or page of the service, or to the list where the object is found."""
    service = asked(request, "service")
    if fix in ("request", "service"):
        return redirect("portal:service", service) if SLUG.fullmatch(service) else redirect("portal:services")
    if fix not in PLACES:
        raise Http404
    query = asked(request, "code") or asked(request, "agreement")
    return redirect(reverse(PLACES[fix]) + (f"?{request.GET.urlencode()}" if query else ""))
