"""One verb's own page in the portal: its form (GET), and the verb (POST), whose refusal stands beside the fields.

The same promises as a register's verb pages (`core.registers`): who may not gets 403, what was typed is kept,
somebody who was first is told as a conflict.
"""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.core.errors import DomainError, NotFound
from apps.core.registers import VerbPage


def links(pages: dict[str, VerbPage], obj, user, address) -> list[dict]:
    """Buttons to the pages this person may open now; `address(name)` gives where."""
    return [
        {"name": name, "label": page.label, "style": page.style, "url": address(name), "help": page.help}
        for name, page in pages.items()
        if user.has_perm(page.permission, obj) and page.when(obj)
    ]


def open_page(request: HttpRequest, page: VerbPage, obj, *, back: str, crumbs: list, initial: dict | None = None, **context):
    """Show the form, or call the verb; then go where its `run` says, or back."""
    if not request.user.has_perm(page.permission, obj):
        raise PermissionDenied
    posted = (request.POST, request.FILES) if request.method == "POST" else ()
    form = page.form(*posted, user=request.user, obj=obj, initial=initial or {})
    status = 200
    if posted and form.is_valid():
        try:
            return _done(request, page, page.run(request, obj, form), back)
        except NotFound:
            raise Http404 from None
        except DomainError as error:
            if error.status in (403, 409):
                request.refused = error  # the audit floor writes it down
            form.refuse(error)
            status = error.status
    elif posted:
        status = 400
    shown = {"title": str(page.label), "crumbs": crumbs, "form": form, "page": page, "object": obj, "back": back, **context}
    return render(request, page.template, shown, status=status)


def _done(request: HttpRequest, page: VerbPage, result, back: str) -> HttpResponse:
    if isinstance(result, HttpResponse):
        return result
    messages.success(request, str(page.done))
    return redirect(back)
