from django.urls import path, re_path

from apps.portal.views import agreements, catalog_of_services, filing, home, request_steps, requests

app_name = "portal"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

urlpatterns = [
    path("notices/", home.notices, name="notices"),
    path("notices/read/", home.read_notices, name="notices-read"),
    path("notices/<uuid:uuid>/open/", home.open_notice, name="notice-open"),
    path("requests/", requests.requests, name="requests"),
    path("requests/new/", filing.new_request, name="request-new"),
    re_path(rf"^requests/(?P<uuid>{UUID})/edit/(?P<step>who|data|why|check)/$", filing.edit_request, name="request-edit"),
    path("requests/<uuid:uuid>/do/<slug:verb>/", request_steps.take_step, name="request-step"),
    path("requests/<uuid:uuid>/", requests.request_case, name="request"),
    path("agreements/", agreements.agreements, name="agreements"),
    path("agreements/<uuid:uuid>/", agreements.agreement_page, name="agreement"),
    path("services/", catalog_of_services.services, name="services"),
    path("services/<slug:code>/", catalog_of_services.service_page, name="service"),
]
