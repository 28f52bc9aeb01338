from rest_framework.routers import SimpleRouter

from apps.sync.api import views

router = SimpleRouter(trailing_slash=False)
router.register("sync/sources", views.Sources, "sync-source")
router.register("sync/runs", views.Runs, "sync-run")
urlpatterns = router.urls
