from django.urls import path

from apps.portal.views import agreements, catalog_of_services, home, requests

app_name = "portal"

urlpatterns = [
    path("notices/", home.notices, name="notices"),
    path("notices/read/", home.read_notices, name="notices-read"),
    path("notices/<uuid:uuid>/open/", home.open_notice, name="notice-open"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<uuid:uuid>/", requests.request_case, name="request"),
    path("agreements/", agreements.agreements, name="agreements"),
    path("agreements/<uuid:uuid>/", agreements.agreement_page, name="agreement"),
    path("services/", catalog_of_services.services, name="services"),
    path("services/<slug:code>/", catalog_of_services.service_page, name="service"),
]
