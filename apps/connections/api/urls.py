from rest_framework.routers import SimpleRouter

from apps.connections.api.views import Requests

router = SimpleRouter(trailing_slash=False)
router.register("requests", Requests, "request")
urlpatterns = router.urls
