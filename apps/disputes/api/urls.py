from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from apps.disputes.api.closing import OrganizationEnd
from apps.disputes.api.reorganization import Reorganizations
from apps.disputes.api.views import Disputes, Maintenances, Tickets

router = SimpleRouter(trailing_slash=False)
router.register("disputes", Disputes, "dispute")
router.register("tickets", Tickets, "ticket")
router.register("maintenance", Maintenances, "maintenance")
urlpatterns = [
    re_path(
        rf"^organizations/(?P<code>{OrganizationEnd.lookup_value_regex})/close$",
        OrganizationEnd.as_view({"post": "close"}),
        name="organization-close",
    ),
    path("reorganizations", Reorganizations.as_view({"post": "create"}), name="reorganization"),
    path("reorganizations/plan", Reorganizations.as_view({"get": "plan"}), name="reorganization-plan"),
    *router.urls,
]
