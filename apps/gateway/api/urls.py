from rest_framework.routers import SimpleRouter

from apps.gateway.api import views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("calls", views.CallLog, "call")
router.register("call-refusals", views.RefusalLog, "call-refusal")

urlpatterns = router.urls
