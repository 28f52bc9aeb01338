"""The REST API, `/api/v1/`: each app brings its own `api/urls.py`."""

from importlib.util import find_spec

from django.urls import include, path

APPS = (
    "legal",
    "notices",
    "organizations",
    "registry",
    "connections",
    "agreements",
    "disputes",
    "catalogs",
    "sync",
    "gateway",
    "portal",
)


def _has_api(app: str) -> bool:
    return find_spec(f"apps.{app}.api") is not None and find_spec(f"apps.{app}.api.urls") is not None


urlpatterns = [path("", include(f"apps.{app}.api.urls")) for app in APPS if _has_api(app)]
