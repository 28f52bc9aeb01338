from rest_framework.routers import SimpleRouter

from apps.notices.api.views import Notices, Outbox

router = SimpleRouter(trailing_slash=False)
router.register("notices", Notices, "notice")
router.register("outbox-messages", Outbox, "outbox-message")
urlpatterns = router.urls
