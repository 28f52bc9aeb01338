"""The official document of an agreement: the print view, the PDF to be signed, the copy with every hand."""

from __future__ import annotations

from csp.decorators import csp_replace
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from apps.agreements import documents
from apps.agreements.actions.signing import JOINER_HAS_NO_DOCUMENT
from apps.agreements.api.rows import version_asked
from apps.agreements.models import Agreement, AgreementVersion
from apps.agreements.reading import was_bound
from apps.portal.doors import asked, find, page


def _version(request: HttpRequest, uuid) -> AgreementVersion:
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    if not was_bound(agreement, request.user):
        raise PermissionDenied(_(JOINER_HAS_NO_DOCUMENT))
    return version_asked(agreement, request.user, asked(request, "version"))


@page
@csp_replace(settings.DOCS_CSP)
def print_view(request: HttpRequest, uuid) -> HttpResponse:
    """The document as a page to read and print; says so when it stands in for a PDF that cannot be made here."""
    return HttpResponse(documents.document_html(_version(request, uuid), in_browser=True, no_pdf="no_pdf" in request.GET))


@page
def pdf(request: HttpRequest, uuid) -> HttpResponse:
    """The document to be signed, with the token signatures it has so far; `?copy=1` the copy that shows every hand."""
    version = _version(request, uuid)
    try:
        data = documents.copy(version) if asked(request, "copy") else documents.newest(version)[1]
    except documents.PdfUnavailable:
        address = reverse("portal:agreement-print", args=[uuid])
        return redirect(f"{address}?version={version.number}&no_pdf=1")
    name = f"{version.agreement.number}-v{version.number}{'-ban-the-hien' if asked(request, 'copy') else ''}.pdf"
    response = HttpResponse(data, content_type="application/pdf")
    response["Content-Disposition"] = content_disposition_header(True, name)
    return response
