"""Texts are found wherever they are said, and a part cannot spoil the catalog."""

from __future__ import annotations

import gettext
import io
import json

import pytest

from lgsp.dev import messages
from lgsp.dev.messages import BadMessages, Message


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "PARTS", tmp_path)

    def write(name: str, content: dict) -> None:
        (tmp_path / f"{name}.po.json").write_text(json.dumps(content), encoding="utf-8")

    return write


def test_texts_of_code_are_found_with_context_and_plural():
    code = (
        '_("Save")\npgettext_lazy("month", "May")\nngettext("%(n)d day", "%(n)d days", 3)\nself.gettext("Go")\nx = "not this"'
    )
    assert dict(messages.texts_of_python(code)) == {
        (None, "Save"): None,
        ("month", "May"): None,
        (None, "%(n)d day"): "%(n)d days",
        (None, "Go"): None,
    }


@pytest.mark.parametrize("argument", ['f"Hello {name}"', '"a" + name', '"%s" % name', '"{}".format(name)'])
def test_a_text_put_together_first_is_refused(argument):
    with pytest.raises(BadMessages, match="put together"):
        list(messages.texts_of_python(f"_({argument})"))


def test_a_text_kept_elsewhere_is_left_in_peace():
    assert list(messages.texts_of_python("_(row['text'])\n_(step.label)\n_(name)\n_(facts.get('message'))")) == []


def test_texts_of_templates_are_found():
    template = """{% load i18n %}<p title="{% translate 'It\\'s due' %}">{% blocktranslate with n=x trimmed %}
        Hello {{ n }}, (well) "then"
    {% endblocktranslate %}{% blocktranslate count n=y %}one{% plural %}{{ n }} many{% endblocktranslate %}
    {% trans "May" context "month" %}{{ _("Plain") }}"""
    found = dict(messages.texts_of_python(messages.calls_of_template(template.replace("\\'", ""), "t.html")))
    assert found == {
        (None, "Its due"): None,
        (None, 'Hello %(n)s, (well) "then"'): None,
        (None, "one"): "%(n)s many",
        ("month", "May"): None,
        (None, "Plain"): None,
    }


def test_the_merged_catalog_speaks_vietnamese(parts):
    parts("a", {"Save": "Lưu", "%(n)d day": ["%(n)d ngày"], "|month|May": "Tháng Năm"})
    found = {(None, "Save"): Message(), (None, "%(n)d day"): Message("%(n)d days"), ("month", "May"): Message()}
    po = messages.build(found, messages.translations())
    catalog = gettext.GNUTranslations(io.BytesIO(po.to_binary()))
    assert catalog.gettext("Save") == "Lưu"
    assert catalog.ngettext("%(n)d day", "%(n)d days", 5) == "%(n)d ngày"
    assert catalog.pgettext("month", "May") == "Tháng Năm"
    assert messages.missing(found, messages.translations()) == []


def test_a_plural_of_a_library_is_found_by_its_singular(parts):
    parts("a", {"%(num)d day": ["%(num)d ngày"]})
    catalog = gettext.GNUTranslations(io.BytesIO(messages.build({}, messages.translations()).to_binary()))
    assert catalog.ngettext("%(num)d day", "%(num)d days", 5) == "%(num)d ngày"


def test_a_text_without_vietnamese_is_named(parts):
    parts("a", {"Save": ""})
    lacking = messages.missing({(None, "Save"): Message(places=["apps/x.py"])}, messages.translations())
    assert lacking == ["apps/x.py: 'Save'"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"%(n)d day": "%(m)d ngày"}, "placeholders"),
        ({"%(n)d day": "ngày"}, "lost"),
        ({"Save": ["a", "b"]}, "needs one text"),
        ({"Save": "Lưu\n"}, "line break"),
    ],
)
def test_a_translation_that_would_break_is_refused(parts, content, says):
    parts("a", content)
    with pytest.raises(BadMessages, match=says):
        messages.translations()


def test_two_parts_may_not_disagree(parts):
    parts("a", {"Save": "Lưu"})
    parts("b", {"Save": "Ghi"})
    with pytest.raises(BadMessages, match=r"b\.po\.json.*Ghi.*a\.po\.json.*Lưu"):
        messages.translations()
