from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.organizations.api import people, views

router = SimpleRouter(trailing_slash=False, use_regex_path=True)
router.register("organizations", views.Organizations, "organization")
router.register("focal-points", views.Directory, "focal-point")
router.register("systems", views.Systems, "system")

# UUIDs are read by path converters, codes by patterns: two routers.
by_uuid = SimpleRouter(trailing_slash=False, use_regex_path=False)
by_uuid.register("memberships", people.Memberships, "membership")
by_uuid.register("people", people.People, "person")

urlpatterns = [
    path("imports/<slug:kind>/preview", views.ImportPreview.as_view(), name="import-preview"),
    path("imports/<slug:kind>/apply", views.ImportApply.as_view(), name="import-apply"),
    *router.urls,
    *by_uuid.urls,
]
