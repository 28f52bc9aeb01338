from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.gateway.api import previews, views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("calls", views.CallLog, "call")
router.register("call-refusals", views.RefusalLog, "call-refusal")
router.register("gateway-processes", views.Processes, "gateway-process")
router.register("provider-pauses", views.Pauses, "provider-pause")

urlpatterns = [
    path("requests/<uuid:uuid>/preview", previews.RequestPreview.as_view({"get": "preview"}), name="request-preview"),
    path("agreements/<uuid:uuid>/preview", previews.AgreementPreview.as_view({"get": "preview"}), name="agreement-preview"),
    *router.urls,
]
