from rest_framework.routers import SimpleRouter

from apps.disputes.api.views import Disputes, Maintenances, Tickets

router = SimpleRouter(trailing_slash=False)
router.register("disputes", Disputes, "dispute")
router.register("tickets", Tickets, "ticket")
router.register("maintenance", Maintenances, "maintenance")
urlpatterns = router.urls
