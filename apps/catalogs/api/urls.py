from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from apps.catalogs.api import crosswalk, releases, views, webhooks

router = SimpleRouter(trailing_slash=False)
router.register("catalog-webhooks", webhooks.Webhooks, "catalog-webhook")

urlpatterns = [
    path("catalogs", views.Catalogs.as_view(), name="catalog-list"),
    path("catalogs/<slug:catalog>", views.CatalogDetail.as_view(), name="catalog-detail"),
    path("catalogs/<slug:catalog>/items", views.Items.as_view(), name="catalog-items"),
    path("catalogs/<slug:catalog>/items/<str:code>", views.Item.as_view(), name="catalog-item"),
    path("catalogs/<slug:catalog>/items/<str:code>/history", views.ItemHistory.as_view(), name="catalog-item-history"),
    path("catalogs/<slug:catalog>/items/<str:code>/lineage", views.ItemLineage.as_view(), name="catalog-item-lineage"),
    path("catalogs/<slug:catalog>/levels/<str:level>/items/<str:code>/correct", releases.CorrectItem.as_view(), name="catalog-item-correct"),
    path("catalogs/<slug:catalog>/snapshot", views.WholeList.as_view(), name="catalog-snapshot"),
    path("catalogs/<slug:catalog>/translate", views.Translate.as_view(), name="catalog-translate"),
    path("catalogs/<slug:catalog>/crosswalk", crosswalk.CodeCrosswalk.as_view(), name="catalog-crosswalk"),
    path("catalogs/<slug:catalog>/crosswalk/lines", crosswalk.CrosswalkLines.as_view(), name="catalog-crosswalk-lines"),
    path("catalogs/<slug:catalog>/prefer", crosswalk.PreferCatalog.as_view(), name="catalog-prefer"),
    path("catalogs/<slug:catalog>/part", crosswalk.PartCatalog.as_view(), name="catalog-part"),
    path("catalogs/<slug:catalog>/changes", views.Changes.as_view(), name="catalog-changes"),
    re_path(r"^catalogs/(?P<catalog>[-\w]+)/export\.(?P<file_type>json|csv|xlsx)$", views.Export.as_view(), name="catalog-export"),
    path("catalogs/<slug:catalog>/releases", releases.Releases.as_view(), name="catalog-releases"),
    path("catalog-releases/<uuid:uuid>", releases.ReleaseDetail.as_view(), name="catalog-release-detail"),
    path("catalog-releases/<uuid:uuid>/difference", releases.ReleaseDifference.as_view(), name="catalog-release-difference"),
    path("catalog-releases/<uuid:uuid>/publish", releases.PublishRelease.as_view(), name="catalog-release-publish"),
    path("catalog-releases/<uuid:uuid>/reject", releases.RejectRelease.as_view(), name="catalog-release-reject"),
    path("catalog-releases/<uuid:uuid>/undo", releases.UndoRelease.as_view(), name="catalog-release-undo"),
    *router.urls,
]  # fmt: skip
