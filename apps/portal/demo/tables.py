"""A second table of countries (three-letter codes), the crosswalk between the two, and which of them is preferred."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from apps.catalogs import actions, first_releases, preference
from apps.catalogs.models import Catalog, Release

DAY = dt.date(2026, 1, 1)
BASIS = "ISO 3166-1"
SECOND = {
    "code": "countries-alpha3",
    "name": "Quốc gia, mã ba chữ cái (mẫu)",
    "description": "Minh họa hai bảng cùng nội dung: mã ISO 3166-1 alpha-3 của các quốc gia trong danh mục Quốc gia và vùng lãnh thổ.",
    "scheme": "ISO 3166-1 alpha-3",
    "is_sample": True,
    "levels": [{"code": "country", "name": "Quốc gia", "pattern": "[A-Z]{3}", "parents": []}],
}


@transaction.atomic
def load(*, by) -> list[Release]:
    """Once, where the countries are there."""
    countries = Catalog.objects.filter(code="countries").first()
    if countries is None or Catalog.objects.filter(code=SECOND["code"]).exists():
        return []
    second = Catalog.objects.create(**SECOND)
    known = [row for row in first_releases.countries() if row["attributes"].get("alpha3")]
    rows = [{"code": row["attributes"]["alpha3"], "name": row["name"]} for row in known]
    lines = [
        {"code": row["attributes"]["alpha3"], "other": countries.code, "other_code": row["code"], "relation": "exact"}
        for row in known
    ]
    made = [
        _publish(second, rows, by=by, source="data:countries-alpha3"),
        _publish(second, (), by=by, source="data:crosswalk-of-countries", correspondences=lines),
    ]
    preference.prefer_catalog(countries, second, by=by, basis="QCVN 109:2017/BTTTT, phụ lục H (dữ liệu minh họa)")
    return made


def _publish(catalog: Catalog, rows, *, by, **facts) -> Release:
    release = actions.stage_release(catalog, rows, by=by, effective_on=DAY, instrument=BASIS, **facts)
    return actions.publish_release(actions.judge_release(release, by=by), by=by)
