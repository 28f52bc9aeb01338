"""Addresses of services, their providers' pages, regulations and the directory."""

from django.urls import path, re_path

from apps.portal.views import catalog_of_services, default_lists, directory, offers, service_talk, service_versions, terms

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
AGENCY = r"[A-Z0-9][A-Za-z0-9.]{2,34}"

urlpatterns = [
    path("regulations/", terms.regulations, name="regulations"),
    path("regulations/new/", terms.write, name="regulation-new"),
    path("regulations/<uuid:uuid>/do/<slug:verb>/", terms.step, name="terms-step"),
    path("regulations/<uuid:uuid>/", terms.terms_page, name="terms"),
    path("regulations/<uuid:uuid>/sign/", terms.sign, name="terms-sign"),
    path("my-services/", offers.offers, name="offers"),
    path("my-services/new/", offers.register, name="offer-new"),
    path("my-services/<slug:code>/", offers.offer, name="offer"),
    path("my-services/<slug:code>/do/<slug:verb>/", offers.step, name="offer-step"),
    path("service-versions/<uuid:uuid>/", service_versions.version, name="version"),
    path("service-versions/<uuid:uuid>/do/<slug:verb>/", service_versions.step, name="version-step"),
    path("default-lists/", default_lists.default_lists, name="default-lists"),
    path("default-lists/new/", default_lists.decide, name="default-list-new"),
    path("agencies/", directory.agencies, name="agencies"),
    path("agencies/new/", directory.new_agency, name="agency-new"),
    path("agencies/import/", directory.import_file, name="agency-import"),
    re_path(rf"^agencies/(?P<code>{AGENCY})/$", directory.agency, name="agency"),
    re_path(rf"^agencies/(?P<code>{AGENCY})/systems/new/$", directory.new_system, name="system-new"),
    re_path(rf"^agencies/(?P<code>{AGENCY})/roles/new/$", directory.give_role, name="agency-role"),
    re_path(rf"^agencies/(?P<code>{AGENCY})/people/new/$", directory.new_person, name="agency-person"),
    re_path(
        rf"^agencies/(?P<code>{AGENCY})/roles/(?P<uuid>{UUID})/authority/$",
        directory.change_authority,
        name="agency-role-authority",
    ),
    re_path(rf"^agencies/(?P<code>{AGENCY})/roles/(?P<uuid>{UUID})/end/$", directory.end_role, name="agency-role-end"),
    re_path(rf"^agencies/(?P<code>{AGENCY})/do/(?P<verb>[a-z-]+)/$", directory.agency_step, name="agency-step"),
    path("systems/<slug:code>/do/<slug:verb>/", directory.system_step, name="system-step"),
    path("services/", catalog_of_services.services, name="services"),
    path("services/<slug:code>/ask/", service_talk.ask, name="service-ask"),
    path("services/<slug:code>/try/", service_talk.try_service, name="service-try"),
    path("services/<slug:code>/document/", catalog_of_services.document, name="service-document"),
    path("feedback/<uuid:uuid>/answer/", service_talk.answer, name="feedback-answer"),
    path("services/<slug:code>/", catalog_of_services.service_page, name="service"),
]
