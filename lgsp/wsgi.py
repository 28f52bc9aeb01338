"""The portal and the REST API: a synchronous WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
application = get_wsgi_application()
