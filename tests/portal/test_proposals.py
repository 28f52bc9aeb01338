"""A counter-proposal by the form says what the same one says by the API, and what nobody touched stays."""

from __future__ import annotations

import datetime
import re
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.http import QueryDict
from django.urls import reverse

from apps.agreements.actions import propose_content
from apps.agreements.models import Agreement
from apps.portal.proposing import changes, proposal_form
from tests.factories.agreements import negotiating, special_world
from tests.forms import posted

NOTE = "Theo đề nghị của đơn vị vận hành hệ thống."


@pytest.fixture
def special(db):
    return special_world()


@pytest.fixture
def agreement(special) -> Agreement:
    begins = datetime.date.today() + datetime.timedelta(days=30)
    return negotiating(special, wanted_from=begins, source_networks=["10.1.2.0/24", "10.1.3.0/24"])


def page_of(agreement: Agreement, **asked) -> str:
    return reverse("portal:agreement", args=[agreement.uuid], query=asked)


def newest(agreement: Agreement) -> dict:
    return agreement.versions.order_by("-number").first().content


def untouched(browser, agreement: Agreement, **asked) -> dict:
    """What a browser sends of the page's form of a proposal in which nobody has typed anything but the note."""
    form = browser.get(page_of(agreement, **asked)).context["proposal_form"]
    given = posted(f"<form method=post>{form.as_p()}</form>")
    given = {name: re.sub(r"\r\n?|\n", "\r\n", value) for name, value in given.items()}
    # A name with several ticks is sent once for each.
    given |= {f"propose-{name}": form.initial[name] for name in ("kept_fields", "kept_systems")}
    agreement.refresh_from_db()
    return {**given, "propose-note": NOTE, "version": agreement.version, "back": page_of(agreement)}


def said(content: dict, body: dict) -> dict:
    form = proposal_form(content, QueryDict(urlencode(body, doseq=True)))
    assert form.is_valid(), form.errors
    return changes(content, form)


def by_form(browser, agreement: Agreement, typed: dict) -> dict:
    body = untouched(browser, agreement) | {f"propose-{name}": value for name, value in typed.items()}
    answer = browser.post(reverse("portal:agreement-propose", args=[agreement.uuid]), body, follow=True)
    assert "msg--error" not in answer.content.decode()
    return newest(agreement)


def by_api(browser, agreement: Agreement, items: dict) -> dict:
    body = {"changes": items, "note": NOTE}
    answer = browser.post(f"/api/v1/agreements/{agreement.uuid}/propose", body, "application/json")
    assert answer.status_code == 200, answer.content
    return newest(agreement)


SAME = [
    ({"exchange_point": "Trục dữ liệu của Bộ"}, lambda was: {"place": {"exchange_point": "Trục dữ liệu của Bộ"}}),
    ({"valid_from": "02/01/2030", "valid_to": "03/02/2031"}, lambda was: {"term": {"valid_from": "2030-01-02", "valid_to": "2031-02-03"}}),
    ({"valid_from": "", "valid_to": ""}, lambda was: {"term": {"valid_from": None, "valid_to": None}}),
    ({"usage_duration": "Trong 10 ngày, kể cả ngày nghỉ; sau đó xóa\r\n\r\nBản sao: 30 ngày"},
     lambda was: {"term": {"usage_duration": ["Trong 10 ngày, kể cả ngày nghỉ; sau đó xóa", "Bản sao: 30 ngày"]}}),
    ({"usage_duration": ""}, lambda was: {"term": {"usage_duration": []}}),
    ({"service_level_0": "Sẵn sàng 99,9 %.\r\nTrả lời trong 1 giây."},
     lambda was: {"service_level": [{**was["service_level"][0], "text": "Sẵn sàng 99,9 %.\nTrả lời trong 1 giây."}]}),
    ({"other_terms": "Họp mỗi quý.", "calls_per_day": "700", "source_networks": "10.1.2.0/24"},
     lambda was: {"other_terms": "Họp mỗi quý.", "method": {"calls_per_day": 700}, "restrictions": {"source_networks": ["10.1.2.0/24"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "items"), SAME, ids=lambda part: "+".join(part) if isinstance(part, dict) else "")
def test_the_form_proposes_what_the_api_does(special, agreement, as_person, typed, items):
    browser, was = as_person(special.consumer_officer), newest(agreement)
    made = []
    for propose, given in ((by_form, typed), (by_api, items(was))):
        with transaction.atomic():
            made.append(propose(browser, agreement, given))
            transaction.set_rollback(True)
    assert made[0] == made[1]
    assert all(made[0][name] != was[name] for name in items(was))


def test_what_nobody_touched_is_proposed_by_nobody(special, agreement, as_person):
    """White space at the ends, lines as browsers end them, several lines in one rule: none of it comes back as it was."""
    content = newest(agreement)
    odd = {
        "other_terms": "Họp mỗi quý.\r\nBáo cáo. \n", "commitments": "  Cam kết\r\n", "place": {"exchange_point": " Trục dữ liệu\r"},
        "term": {"usage_duration": ["Một, hai; ba\nbốn", " năm  "]},
        "service_level": [{**row, "text": f" {row['text']}\r\n\r\n24/7 "} for row in content["service_level"]],
    }  # fmt: skip
    propose_content(agreement, by=special.provider_officer, changes=odd, note="Lời lẽ")
    content = newest(agreement)
    assert content["service_level"] == odd["service_level"]
    browser = as_person(special.consumer_officer)
    body = untouched(browser, agreement)
    assert said(content, body) == {}
    answer = browser.post(reverse("portal:agreement-propose", args=[agreement.uuid]), body, follow=True)
    assert "Đề xuất không thay đổi nội dung nào" in answer.content.decode()
    assert newest(agreement) == content
    assert said(content, body | {"propose-service_level_0": "Như cũ"}) == {
        "service_level": [{**content["service_level"][0], "text": "Như cũ"}]
    }


def test_the_form_starts_from_what_lies_on_the_table_whichever_version_is_shown(special, agreement, as_person):
    propose_content(agreement, by=special.provider_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo")
    browser = as_person(special.consumer_officer)
    given = untouched(browser, agreement, version=1)
    assert given["propose-other_terms"] == "Báo cáo quý."
    given["propose-service_level_0"] = "99,9 %"
    browser.post(reverse("portal:agreement-propose", args=[agreement.uuid]), given)
    assert newest(agreement)["version"] == 3
    assert newest(agreement)["other_terms"] == "Báo cáo quý."


def test_a_first_day_that_cannot_be_is_refused_and_nothing_is_proposed(special, agreement, as_person):
    browser = as_person(special.consumer_officer)
    for typed in ({"valid_from": "31/02/2030"}, {"valid_from": "03/02/2031", "valid_to": "02/01/2030"}):
        body = untouched(browser, agreement) | {f"propose-{name}": value for name, value in typed.items()}
        answer = browser.post(reverse("portal:agreement-propose", args=[agreement.uuid]), body, follow=True)
        assert "msg--error" in answer.content.decode()
    assert newest(agreement)["version"] == 1


def test_each_service_has_a_field_of_its_level_before_the_note(special, agreement, as_person):
    form = as_person(special.provider_officer).get(page_of(agreement)).context["proposal_form"]
    assert list(form.fields)[-2:] == ["service_level_0", "note"]
    assert special.service.name in form.fields["service_level_0"].label
    assert form.initial["service_level_0"] == newest(agreement)["service_level"][0]["text"]
