from rest_framework.routers import SimpleRouter

from apps.connections.api.views import Attachments, Requests

router = SimpleRouter(trailing_slash=False)
router.register("requests", Requests, "request")
router.register("attachments", Attachments, "attachment")
urlpatterns = router.urls
