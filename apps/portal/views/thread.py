"""The thread and the files of a case."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.connections.actions import attach_file, comment_request, remove_file
from apps.connections.api.views import download
from apps.connections.choices import AttachmentKind
from apps.connections.files import MAX_BYTES
from apps.connections.models import Attachment, ConnectionRequest
from apps.core.errors import FactMissing, InvalidFact
from apps.portal.doors import do, door, find, page, way_back
from apps.portal.forms import ThreadForm
from apps.portal.views.request_steps import valid


@door
def comment(request: HttpRequest, uuid) -> HttpResponse:
    case = find(ConnectionRequest.objects, request.user, uuid=uuid)
    do(request, comment_request, case, _("Your comment was added."), **valid(ThreadForm(request.POST)).cleaned_data)
    return redirect("portal:request", case.uuid)


@door
def attach(request: HttpRequest, uuid) -> HttpResponse:
    case = find(ConnectionRequest.objects, request.user, uuid=uuid)
    file = request.FILES.get("file")
    if file is None:
        raise FactMissing(fields={"file": [_("Choose a file.")]})
    if file.size > MAX_BYTES:
        raise InvalidFact(_("A file may have at most %(size)s MB.") % {"size": MAX_BYTES // 2**20}, code="file_too_large")
    kind = request.POST.get("kind", "")
    chosen = kind if kind in AttachmentKind.values else AttachmentKind.OTHER
    do(request, attach_file, case, _("The file was attached."), name=file.name, data=file.read(), kind=chosen)
    return redirect(way_back(request))


@door
def remove(request: HttpRequest, uuid) -> HttpResponse:
    row = find(Attachment.objects.select_related("request"), request.user, uuid=uuid)
    do(request, remove_file, row, _("The file was taken out of the request."))
    return redirect(way_back(request))


@page
def fetch(request: HttpRequest, uuid) -> HttpResponse:
    """The file, as an attachment that runs nothing in our name."""
    return download(find(Attachment.objects.present(), request.user, uuid=uuid))
