"""An outsider asks to join an agreement in force by its number, which is public; it sees nothing else of it."""

from __future__ import annotations

import uuid as uuids

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements import actions
from apps.agreements.models import Agreement
from apps.core.errors import DomainError, NotPermitted
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.portal.doors import asked, form_page, said
from apps.portal.forms import JoinForm


@form_page
def join(request: HttpRequest) -> HttpResponse:
    """The form, and behind it the draft that starts from what runs."""
    agencies = Organization.objects.filter(pk__in=organization_ids(request.user, Role.CONSUMER_OFFICER))
    form = JoinForm(
        request.POST or None, agencies=agencies, initial={"number": asked(request, "number"), "uuid": uuids.uuid4()}
    )
    if request.method == "POST" and form.is_valid():
        agreement = Agreement.objects.filter(number__iexact=form.cleaned_data["number"].strip()).first()
        try:
            if agreement is None:
                raise NotPermitted(_("There is no agreement of this number that is open to others."), code="not_open_to_join")
            made = actions.start_join(agreement, form.cleaned_data["consumer"], by=request.user, uuid=form.cleaned_data["uuid"])
        except DomainError as error:
            form.add_error("number", said(error))
        else:
            messages.success(request, _("A draft was opened with the services and fields of the agreement; name your systems."))
            return redirect("portal:request-edit", made.uuid, "who")
    context = {
        "title": _("Join an agreement in force"),
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements"))],
        "form": form,
        "agencies": agencies,
    }
    return render(request, "portal/joining.html", context, status=400 if form.errors else 200)
