"""The REST API, `/api/v1/`: each app brings its own `api/urls.py`."""

from django.urls import include, path

APPS: list[str] = [
    "legal",
    "notices",
    "connections",
    "agreements",
]

urlpatterns = [path("", include(f"apps.{app}.api.urls")) for app in APPS]
