from rest_framework.routers import SimpleRouter

from apps.registry.api import feedback, terms, views

router = SimpleRouter(trailing_slash=False, use_regex_path=True)
router.register("purposes", terms.Purposes, "purpose")

# UUIDs are read by path converters, codes by patterns: two routers.
by_uuid = SimpleRouter(trailing_slash=False, use_regex_path=False)
by_uuid.register("service-versions", views.Versions, "service-version")
by_uuid.register("feedback", feedback.FeedbackRows, "feedback")
by_uuid.register("operations", views.Operations, "operation")
by_uuid.register("default-lists", terms.DefaultLists, "default-list")
by_uuid.register("usage-regulations", terms.Regulations, "usage-regulation")

urlpatterns = [*router.urls, *by_uuid.urls]
