"""The product's settings without middleware, admin pages and login, with Django's connection pool."""

from lgsp.settings import *  # noqa: F403
from lgsp.settings import AUTHENTICATION_BACKENDS, DATABASES, INSTALLED_APPS, REST_FRAMEWORK

MIDDLEWARE = []
# allauth insists on its middleware, and the admin's discovery on allauth; nothing of either is on the way of a read.
INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig" if name.endswith("AdminConfig") or name == "django.contrib.admin" else name
    for name in INSTALLED_APPS
    if not name.startswith("allauth")
]
AUTHENTICATION_BACKENDS = [name for name in AUTHENTICATION_BACKENDS if not name.startswith("allauth")]
ROOT_URLCONF = "benchmarks.catalogs.drf"
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 4, "max_size": 16}
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
