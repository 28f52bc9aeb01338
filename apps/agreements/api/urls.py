from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.agreements.api import access, life, publishing, requests, views

router = SimpleRouter(trailing_slash=False)
router.register("services", publishing.ServiceLife, "service")
router.register("agreements", views.Agreements, "agreement")
router.register("grants", access.Grants, "grant")
router.register("credentials", access.Credentials, "credential")
router.register("acceptances", access.Acceptances, "acceptance")
router.register("duties", life.Duties, "duty")
router.register("planned-suspensions", life.PlannedSuspensions, "planned-suspension")
router.register("consumer-suspensions", life.ConsumerSuspensions, "consumer-suspension")

urlpatterns = [
    *(
        path(
            f"service-versions/<uuid:uuid>/{name}",
            publishing.VersionLife.as_view({method: name}),
            name=f"service-version-{name}",
        )
        for name, method in (
            ("impact", "get"),
            ("publish", "post"),
            ("deprecate", "post"),
            ("postpone", "post"),
            ("retire", "post"),
        )
    ),
    *(
        path(f"services/<slug:code>/{name}", publishing.ServiceLife.as_view({"post": name}), name=f"service-{name}")
        for name in ("suspend", "resume")
    ),
    path("requests/<uuid:uuid>/basis", requests.RequestBases.as_view({"get": "basis"}), name="request-basis"),
    path("requests/<uuid:uuid>/follow", requests.RequestBases.as_view({"post": "follow"}), name="request-follow"),
    path("requests/<uuid:uuid>/approve", requests.RequestApproval.as_view({"post": "approve"}), name="request-approve"),
    path("joining/<str:number>", views.Joining.as_view({"post": "join"}), name="agreement-join"),
    *router.urls,
]
