"""How the pages open: who may come in, whose rows are found, and how a verb's answer is told.

It promises: every page is for logged-in people; what is not visible to them is not found (404); a verb is
called by POST only; what it refuses is said in the reader's language, a stale page gets 409, and who met somebody else's
lock 503.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.utils import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import Conflict, DomainError, NotFound, StaleVersion, is_busy
from apps.core.paging import OpenEndedPaginator
from apps.core.text import clean

PAGE_SIZE = 25


def page(view):
    """A page to read: logged in, GET or HEAD, never kept by a cache."""
    return never_cache(require_safe(login_required(view)))


def form_page(view):
    """A page with a form of its own: logged in, never kept by a cache."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except OperationalError as error:
            return busy(request, error, back=request.get_full_path())

    return never_cache(login_required(guarded))


def door(view):
    """A step: logged in, POST with the form's token. A DomainError becomes a message or the 409 page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except DomainError as error:
            return refused(request, error, back=way_back(request))
        except OperationalError as error:
            return busy(request, error, back=way_back(request))

    return never_cache(require_POST(login_required(guarded)))


def way_back(request: HttpRequest) -> str:
    """The page the step was taken on: named by the form, and only ever one of ours."""
    back = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()) and back.startswith("/")
    return back if ours else reverse("home")


def find(rows, user, **lookup):
    """The one row `visible_to(user)`; anything else is 404, whether it exists or not."""
    found = rows.visible_to(user).filter(**lookup).first()
    if found is None:
        raise Http404
    return found


def refused(request: HttpRequest, error: DomainError, *, back: str) -> HttpResponse:
    """Say why a step was refused. Somebody was first: 409 with the way back; otherwise a message on the same page."""
    if error.status in (403, 409):
        request.refused = error  # the audit floor writes it down
    if isinstance(error, NotFound):
        raise Http404
    if isinstance(error, Conflict):
        return render(request, "portal/conflict.html", {"detail": said(error), "back": back, "differences": getattr(error, "differences", [])},
                      status=409)  # fmt: skip
    messages.error(request, said(error))
    return redirect(back)


def busy(request: HttpRequest, error: OperationalError, *, back: str) -> HttpResponse:
    """Somebody else held what the step needed: nothing was written, the same may be tried again. Other errors stay errors."""
    if not is_busy(error):
        raise error
    answer = render(request, "portal/busy.html", {"back": back}, status=503)
    answer["Retry-After"] = "5"
    return answer


def said(error: DomainError) -> str:
    """Title and detail of an error as one text, with what was wrong field by field."""
    parts = [str(error.title)]
    if error.detail and str(error.detail) != str(error.title):
        parts.append(str(error.detail))
    fields = error.extra.get("fields")
    if isinstance(fields, dict):
        parts += [str(text) for texts in fields.values() for text in (texts if isinstance(texts, list | tuple) else [texts])]
    # A detail that names the values ("no field of this operation: X") is not followed by the bare values again.
    return " ".join(part for index, part in enumerate(parts) if not any(part in before for before in parts[:index]))


def asked(request: HttpRequest, name: str) -> str:
    """A value of the address, without control characters (a NUL would reach the database) and not endless."""
    return clean(request.GET.get(name, ""))[:200]


def paged(request: HttpRequest, rows, size: int = PAGE_SIZE):
    """The page of `rows` the address asks for; nonsense in the address gives the nearest page."""
    return OpenEndedPaginator(rows, size).get_page(request.GET.get("page"))


def version_of(request: HttpRequest) -> int:
    """The version the person saw, from the form. Raises StaleVersion when it names none: nobody knows what was decided on."""
    given = request.POST.get("version", "")
    if not given.isdecimal() or len(given) > 9:
        raise StaleVersion
    return int(given)


def do(request: HttpRequest, verb: Callable, obj, message: object, **facts):
    """Call a verb for the person who asks and say that it is done: by `message`, or by what it makes of the verb's result."""
    result = verb(obj, by=request.user, **facts)
    messages.success(request, str(message(result) if callable(message) else message))
    return result
