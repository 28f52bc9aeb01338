from rest_framework.routers import SimpleRouter

from apps.disputes.api.views import Disputes, Tickets

router = SimpleRouter(trailing_slash=False)
router.register("disputes", Disputes, "dispute")
router.register("tickets", Tickets, "ticket")
urlpatterns = router.urls
