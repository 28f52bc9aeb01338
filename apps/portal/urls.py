from django.urls import path, re_path

from apps.portal.views import (
    agreement_steps,
    agreements,
    catalog_of_services,
    catalogs,
    credentials,
    filing,
    gateway,
    home,
    request_steps,
    requests,
    terms,
)

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
    path("agreements/<uuid:uuid>/do/sign/", agreement_steps.sign, name="agreement-sign"),
    path("agreements/<uuid:uuid>/do/<slug:verb>/", agreement_steps.take_step, name="agreement-step"),
    path("agreements/<uuid:uuid>/test-record/", agreement_steps.record_acceptance, name="acceptance-new"),
    path("test-records/<uuid:uuid>/do/<slug:verb>/", agreement_steps.decide_acceptance, name="acceptance-step"),
    path("grants/<uuid:uuid>/do/<slug:verb>/", agreement_steps.change_grant, name="grant-step"),
    path("duties/<uuid:uuid>/done/", agreement_steps.complete_duty, name="duty-done"),
    path("accounts/<uuid:uuid>/", credentials.credential_page, name="credential"),
    path("accounts/<uuid:uuid>/do/<slug:verb>/", credentials.take_step, name="credential-step"),
    path("regulations/<uuid:uuid>/", terms.terms_page, name="terms"),
    path("regulations/<uuid:uuid>/sign/", terms.sign, name="terms-sign"),
    path("gateway/", gateway.gateway, name="gateway"),
    path("catalogs/", catalogs.catalogs, name="catalogs"),
    path("catalog-releases/", catalogs.releases, name="catalog-releases"),
    path("catalog-releases/<uuid:uuid>/", catalogs.release, name="catalog-release"),
    path("catalog-releases/<uuid:uuid>/do/<slug:verb>/", catalogs.release_step, name="catalog-release-step"),
    path("catalogs/<slug:code>/", catalogs.catalog, name="catalog"),
    path("catalogs/<slug:code>/new-release/", catalogs.stage, name="catalog-stage"),
    path("catalogs/<slug:code>/reforms/<str:day>/", catalogs.catalog_reform, name="catalog-reform"),
    path("catalogs/<slug:code>/items/<str:level>/<str:item>/", catalogs.catalog_item, name="catalog-item"),
    path("services/", catalog_of_services.services, name="services"),
    path("services/<slug:code>/", catalog_of_services.service_page, name="service"),
]
