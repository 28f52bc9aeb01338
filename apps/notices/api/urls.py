from rest_framework.routers import SimpleRouter

from apps.notices.api.views import Notices

router = SimpleRouter(trailing_slash=False)
router.register("notices", Notices, "notice")
urlpatterns = router.urls
