"""The question an orchestrator asks of the portal first: is it alive? (Whether it may be given work: `portal.fitness`.)"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def alive(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; asks nothing of anybody else."""
    return HttpResponse("ok\n", content_type="text/plain")
