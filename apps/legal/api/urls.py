from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.legal.api import views

router = SimpleRouter(trailing_slash=False)
router.register("legal-rules", views.LegalRules, "legal-rule")
router.register("refusal-grounds", views.RefusalGrounds, "refusal-ground")
router.register("legal-bases", views.LegalBases, "legal-basis")
router.register("calendar-days", views.CalendarDays, "calendar-day")

urlpatterns = [
    path("legal-rules/<str:code>/change", views.LegalRuleChange.as_view(), name="legal-rule-change"),
    path("deadline", views.DeadlineCalculator.as_view(), name="deadline"),
    *router.urls,
]
