from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.sync.api import views

router = SimpleRouter(trailing_slash=False)
router.register("sync/sources", views.Sources, "sync-source")
router.register("sync/runs", views.Runs, "sync-run")

urlpatterns = [
    path("sync/enterprise-changes/<slug:code>", views.EnterpriseChanges.as_view(), name="enterprise-changes"),
    *router.urls,
]
