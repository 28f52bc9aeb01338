"""The province of the journeys: who is there, and the steps that every journey takes on its way to its own story.

Nothing here looks into the database after the founding: what is done is done by people with their roles, over HTTP.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path

from django.contrib.auth import get_user_model

from apps.organizations.actions.agencies import name_focal_point
from apps.organizations.actions.people import give_role, open_account
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.portal.demo import people as founders
from tests.factories.accounts import PASSWORD, hashed_password
from tests.factories.catalogs import CatalogFactory
from tests.flows.people import Person, System

DATA = json.loads(Path(founders.__file__).with_name("province.json").read_text(encoding="utf-8"))
CONTRACT = Path(founders.__file__).parents[2] / "registry/data/business-registration.json"
OPEN, RESTRICTED = "business-registration", "business-registration-special"
"""The same contract twice: shared by default, and shared by special agreement."""
DETAIL, PURPOSE, COMPANY = "chiTietDoanhNghiep", "giai-quyet-tthc", "0990000001"
NAME, CODE, ADDRESS = (
    "Data.MainInformation.NAME", "Data.MainInformation.ENTERPRISE_GDT_CODE", "Data.HOAdress.AddressFullText",
)  # fmt: skip
CATALOGS = ("administrative-units", "countries", "economic-sectors")
"""Those that the contract names."""
MORE = {
    "H03.06": {"diachinh": Role.CONSUMER_OFFICER, "ky.diachinh": Role.SIGNER},
    "H03.12": {"laodong": Role.PROVIDER_OFFICER, "ky.laodong": Role.SIGNER},
    "H03.01": {"vanphong": Role.CONSUMER_OFFICER, "ky.vanphong": Role.SIGNER},
}
"""More people: of a consumer and of a provider that are merged away, and of who takes data of the latter."""


@dataclass
class Province:
    platform: object
    known: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def found(cls, platform) -> Province:
        founders.found(DATA)
        setup = get_user_model().objects.machine("setup")
        for code, people in MORE.items():
            _add_people(Organization.objects.get(code=code), people, setup)
        give_role(
            get_user_model().objects.get(username="noivu"),
            Organization.objects.get(code="H03.07"),
            Role.PROVIDER_OFFICER,
            by=setup,
        )
        for code in CATALOGS:
            CatalogFactory(code=code)
        get_user_model().objects.filter(is_machine=False).update(password=hashed_password())
        return cls(platform)

    def person(self, username: str) -> Person:
        """The person, logged in once."""
        if username not in self.known:
            self.known[username] = Person(self.platform.url("portal"), username, PASSWORD)
        return self.known[username]

    def publish_services(self) -> None:
        self.person("vanhanh").post("purposes", {"code": PURPOSE, "name": "Giải quyết thủ tục hành chính"})
        self.publish("cungcap", DATA["services"][0]["provider"], {OPEN: "default", RESTRICTED: "special"})

    def publish(self, provider: str, agency: str, forms: dict[str, str]) -> None:
        """Services of `agency` (code → sharing form), under a usage regulation of its own that its signer signs."""
        officer, signer = self.person(provider), self.person(f"ky.{provider}")
        regulation = {
            **DATA["regulations"][0],
            "organization": agency,
            "issued_on": "2019-10-01",
            "effective_from": "2019-11-01",
        }
        terms = officer.post("usage-regulations", regulation)
        signer.post(f"usage-regulations/{terms['uuid']}/sign", {"password": PASSWORD, "version": terms["version"]})
        for code, form in forms.items():
            self._publish(officer, code, {"sharing_form": form, "provider": agency, "usage_regulation": terms["uuid"]})

    def _publish(self, officer: Person, code: str, own: dict) -> None:
        row = DATA["services"][0]
        facts = {name: row[name] for name in ("name", "description", "capacity_rps", "daily_quota", "contact", "sla")}
        officer.post("services", {**facts, "code": code, **own})
        version = officer.post(f"services/{code}/versions")
        officer.put(f"service-versions/{version['uuid']}/contract", json.loads(CONTRACT.read_text(encoding="utf-8")))
        sandbox = self.platform.url("sandbox")
        secret = {
            "consumer_key": self.platform.env["LGSP_SANDBOX_KEY"],
            "consumer_secret": self.platform.env["LGSP_SANDBOX_SECRET"],
        }
        for environment, prefix in (("test", "/test"), ("production", "")):
            address = {"base_url": f"{sandbox}{prefix}/apiCSDLDKDN/1.0", "auth_kind": "ngsp", "secret": secret,
                       "auth_settings": {"token_url": f"{sandbox}{prefix}/token"}}  # fmt: skip
            officer.put(f"service-versions/{version['uuid']}/upstreams/{environment}", address)
        officer.post(f"service-versions/{version['uuid']}/publish")

    # --- steps of every journey -----------------------------------------------------------------

    def operation(self, officer: Person, service: str = OPEN) -> str:
        (version,) = officer.get(f"services/{service}")["versions"]
        rows = officer.get(f"service-versions/{version['uuid']}")["operations"]
        return next(row["uuid"] for row in rows if row["code"] == DETAIL)

    def content(self, officer: Person, systems: list[str], *fields: str, service: str = OPEN, **more) -> dict:
        """Everything a complete request needs."""
        return {
            "title": "Tra cứu doanh nghiệp", "systems": systems, "purpose": PURPOSE,
            "scope": [{"operation": self.operation(officer, service), "fields": list(fields or (CODE, NAME))}],
            "purpose_text": "Đối chiếu thông tin doanh nghiệp nộp hồ sơ.", "solution": "Điền sẵn tên; không lưu.",
            "legal_basis": "NĐ 47/2020/NĐ-CP Điều 33", "procedures": ["1.001612"], "calls_per_day": 1000, "calls_per_second": 10,
            "technician": "Tổ kỹ thuật, 0209 000 100", **more,
        }  # fmt: skip

    def file(self, officer: str, agency: str, systems: list[str], *fields: str, signer: str | None = None, **more) -> dict:
        """Drafted, signed by the agency's signer, submitted."""
        person = self.person(officer)
        draft = person.post("requests", {"consumer": agency, **self.content(person, systems, *fields, **more)})
        return self.submit(officer, draft["uuid"], signer or f"ky.{officer}")

    def submit(self, officer: str, uuid: str, signer: str) -> dict:
        seen = self.person(signer).get(f"requests/{uuid}")
        self.person(signer).post(f"requests/{uuid}/sign", {"content_hash": seen["content_hash"], "password": PASSWORD})
        return self.person(officer).post(f"requests/{uuid}/submit")

    def approve(self, request: dict, provider: str = "cungcap") -> str:
        """Found complete by the operator, approved by the provider. The agreement's uuid."""
        self.person("vanhanh").post(f"requests/{request['uuid']}/forward")
        return self.person(provider).post(f"requests/{request['uuid']}/approve", {"comment": "Đúng phạm vi."})["agreement"]

    def collect(self, officer: str, system: str, environment: str = "test") -> System:
        rows = self.person(officer).get(f"credentials?environment={environment}&status=unclaimed")["results"]
        (row,) = [row for row in rows if row["system"]["code"] == system]
        claimed = self.person(officer).post(f"credentials/{row['uuid']}/claim")
        return System(self.platform.url("gateway"), claimed["client_id"], claimed["client_secret"])

    def call(self, system: System, service: str = OPEN):
        return system.call(f"{service}/v1/{DETAIL}?msdn={COMPANY}", PURPOSE)

    def passes(self, system: System, *paths: str, service: str = OPEN) -> None:
        """A call goes through and brings exactly the data fields `paths`."""
        answer = self.call(system, service)
        assert answer.status_code == 200, answer.text
        found = {path for path in _leaves(answer.json()) if path.startswith("Data.")}
        assert found == set(paths), f"{sorted(found)} came, {sorted(paths)} were granted"

    def refused(self, system: System, code: str, service: str = OPEN) -> None:
        answer = self.call(system, service)
        assert (answer.status_code, answer.json()["code"]) == (403, code), answer.text

    def into_production(self, officer: str, agreement: str, system: str) -> System:
        """The test recorded by the consumer, confirmed by the provider, the account collected."""
        self.accept(officer, agreement, system)
        return self.collect(officer, system, "production")

    def accept(self, officer: str, agreement: str, system: str) -> None:
        """The test recorded by the consumer, confirmed by the provider."""
        record = self.person(officer).post(
            f"agreements/{agreement}/acceptances",
            {"system": system, "tested_on": datetime.date.today().isoformat(), "summary": "Đã gọi thử, đúng phạm vi."},
        )
        self.person("cungcap").post(f"acceptances/{record['uuid']}/confirm", {"comment": "Xác nhận."})


def _leaves(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return (
            set().union(*(_leaves(child, f"{path}.{key}" if path else key) for key, child in value.items())) if value else set()
        )
    if isinstance(value, list):
        return set().union(*(_leaves(child, f"{path}[]") for child in value)) if value else set()
    return {path}


def _add_people(agency: Organization, people: dict[str, Role], setup) -> None:
    first = next(iter(people))
    facts = {"position": "Chuyên viên", "email": f"{first}@example.vn"}
    for username, role in people.items():
        user = open_account(username, by=setup, full_name=f"Cán bộ {username}", **{**facts, "email": f"{username}@example.vn"})
        give_role(user, agency, role, by=setup)
    name_focal_point(
        agency, by=setup, name=f"Cán bộ {first}", phone="0209 000 300", function="Đầu mối chia sẻ dữ liệu", **facts
    )
