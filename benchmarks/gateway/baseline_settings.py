"""The product's settings without middleware, with Django's connection pool."""

from lgsp.settings import *  # noqa: F403
from lgsp.settings import AUTHENTICATION_BACKENDS, DATABASES, INSTALLED_APPS, REST_FRAMEWORK

MIDDLEWARE = []
# allauth insists on its middleware; neither it nor the pages that use it are on the way of a call.
INSTALLED_APPS = [
    name for name in INSTALLED_APPS if not name.startswith(("allauth", "apps.portal", "unfold", "django.contrib.admin"))
]
AUTHENTICATION_BACKENDS = [name for name in AUTHENTICATION_BACKENDS if not name.startswith("allauth")]
ROOT_URLCONF = "benchmarks.gateway.baseline"
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 4, "max_size": 16}
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
