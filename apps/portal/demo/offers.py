"""Regulations and services of the demonstration, published as a provider would."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model

from apps.accounts.choices import SETUP
from apps.organizations.models import Organization
from apps.registry.actions import (
    add_version,
    define_contract,
    name_purpose,
    publish_version,
    register_service,
    set_upstream,
    sign_terms,
    write_operation,
    write_terms,
)
from apps.registry.choices import Environment, SharingForm, UpstreamAuth
from apps.registry.models import Upstream, UsageRegulation

HERE = Path(__file__).parent
CONTRACTS = (HERE, HERE.parent.parent / "registry" / "data")
STAFF = {"G05.22": ("cungcap", "ky.cungcap"), "G14": ("thongtin", "ky.thongtin")}
"""Provider → its officer and its signer."""


def publish_all(data: dict, people: dict) -> None:
    """Name the purposes, write and sign the terms, register and publish the services."""
    setup = get_user_model().objects.machine(SETUP)
    for row in data["purposes"]:
        name_purpose(row["code"], row["name"], by=setup)
    for row in data["regulations"]:
        _regulate(row, people)
    for row in data["services"]:
        _publish(row, people)


def _regulate(row: dict, people: dict) -> None:
    officer, signer = STAFF[row["organization"]]
    facts = {**row, "issued_on": datetime.date(2019, 10, 1), "effective_from": datetime.date(2019, 11, 1)}
    organization = Organization.objects.get(code=facts.pop("organization"))
    sign_terms(write_terms(organization, by=people[officer], **facts), by=people[signer])


def _publish(row: dict, people: dict) -> None:
    officer = people[STAFF[row["provider"]][0]]
    service = register_service(
        Organization.objects.get(code=row["provider"]), by=officer, code=row["code"], name=row["name"],
        description=row["description"], sharing_form=row.get("sharing_form", SharingForm.DEFAULT), capacity_rps=row["capacity_rps"], daily_quota=row["daily_quota"],
        is_master_data=row["is_master_data"], contact=row["contact"], sla=row["sla"],
        usage_regulation=UsageRegulation.objects.get(number=row["regulation"]),
    )  # fmt: skip
    version = add_version(service, by=officer)
    contract = {"samples": row["samples"], "errors": row["errors"]} | _contract(row["contract"])
    version = define_contract(version, contract, by=officer)
    for environment in Environment.values:
        _point(version, environment, row["path"], officer)
    publish_version(version, by=officer)


def begin_by_hand(people: dict) -> None:
    """A service that its provider has begun to describe without a document: what is missing shows on its page."""
    officer = people["kehoach"]
    service = register_service(
        Organization.objects.get(code="H03.02"), by=officer, code="public-investment", name="Dự án đầu tư công của tỉnh",
        description="Thông tin dự án, chủ đầu tư, vốn được giao theo năm.", sharing_form=SharingForm.SPECIAL, is_master_data=True,
    )  # fmt: skip
    version = add_version(service, by=officer)
    project = {
        "code": "getProject", "name": "Tra cứu một dự án", "path": "/projects/{id}",
        "parameters": [{"name": "id", "location": "path", "label": "Mã dự án", "pattern": "[0-9]{7}", "max_length": 7}],
        "fields": [
            {"path": "NAME", "label": "Tên dự án", "personal_data": "none"},
            {"path": "OWNER.NAME", "label": "Chủ đầu tư", "personal_data": "none"},
            {"path": "OWNER.DIRECTOR", "personal_data": "basic"}, {"path": "CAPITAL[].YEAR", "personal_data": "none"},
            {"path": "CAPITAL[].AMOUNT", "type": "number"}, {"path": "COMMUNE", "label": "Địa bàn"},
        ],
    }  # fmt: skip
    write_operation(version, project, by=officer)


def repoint(data: dict) -> None:
    """After a start with another port for the sandbox: the providers' officers enter its present address."""
    for row in data["services"]:
        officer = get_user_model().objects.get(username=STAFF[row["provider"]][0])
        for upstream in Upstream.objects.filter(version__service__code=row["code"]).select_related(
            "version__service__provider"
        ):
            if upstream.base_url != _base(upstream.environment) + row["path"]:
                _point(upstream.version, upstream.environment, row["path"], officer)


def _base(environment: str) -> str:
    """The sandbox plays both environments: paths under /test are its test environment."""
    sandbox = settings.SANDBOX_URL.rstrip("/")
    return f"{sandbox}/test" if environment == Environment.TEST else sandbox


def _point(version, environment: str, path: str, officer) -> None:
    base = _base(environment)
    secret = {"consumer_key": settings.SANDBOX_KEY, "consumer_secret": settings.SANDBOX_SECRET}
    set_upstream(
        version, environment, by=officer, base_url=base + path, auth_kind=UpstreamAuth.NGSP,
        auth_settings={"token_url": f"{base}/token"}, secret=secret,
    )  # fmt: skip


def _contract(name: str) -> dict:
    path = next(folder / name for folder in CONTRACTS if (folder / name).exists())
    return json.loads(path.read_text(encoding="utf-8"))
