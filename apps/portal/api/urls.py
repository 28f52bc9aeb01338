from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.portal.api import feeds, views

router = SimpleRouter(trailing_slash=False)
router.register("audit-events", views.AuditEvents, "audit-event")
urlpatterns = [
    path("me", views.Me.as_view(), name="me"),
    path("sync/enterprise-changes/<slug:code>", feeds.EnterpriseChanges.as_view(), name="enterprise-changes"),
    *router.urls,
]
