"""Registers: read-only lists and pages in the admin shell, and beside them one page a verb.

Nothing is written by the admin itself. A register's page shows what is; each button opens the verb's own form
(GET) and the form's POST calls the verb. What the verb refuses stands beside its field, with the input kept.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.admin.views.main import ALL_VAR, ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from apps.core.admin import ReadOnlyAdmin
from apps.core.errors import DomainError, NotFound, StaleVersion

_PLACE = re.compile(r"[.\[]")
_LIST_PARAMETERS = {ALL_VAR, ORDER_VAR, PAGE_VAR, SEARCH_VAR, "_changelist_filters", "_popup", "_to_field", "e"}


class ShowsRefusal:
    """For a form whose verb may refuse: the answer stands beside the fields, and what was typed stays."""

    def refuse(self, error: DomainError) -> None:
        """Put what the verb refused beside the fields it names, the rest on top."""
        named = error.extra.get("fields")
        named = named if isinstance(named, dict) else {}
        if not named or error.detail:
            text = str(error.title) if str(error.detail or "") in ("", str(error.title)) else f"{error.title} {error.detail}"
            self.add_error(None, text)
        for field, reasons in named.items():
            reasons = reasons if isinstance(reasons, list | tuple) else [reasons]
            # A place in a document says where; a bare name of the API says nothing to who reads the page.
            prefix = f"{field}: " if _PLACE.search(field) and field not in self.fields else ""
            self.add_error(field if field in self.fields else None, [f"{prefix}{reason}" for reason in reasons])


@dataclass(frozen=True)
class Overtaken:
    """A part that somebody saved meanwhile, beside what was entered here."""

    label: str
    now: str
    entered: str


class VerbForm(ShowsRefusal, forms.Form):
    """The facts a verb asks a person for. Knows who asks (`user`) and about what (`obj`, None on a list's page)."""

    overtaken: tuple[Overtaken, ...] = ()

    def __init__(self, *args, user, obj=None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.obj = user, obj
        for field in self.fields.values():
            field.label = capfirst(field.label) if field.label else field.label

    def facts(self) -> dict:
        """The keyword arguments of the verb."""
        return dict(self.cleaned_data)

    def standing(self) -> dict:
        """What is stored now, by field: a form that begins with what is stored says it."""
        return {}

    def refuse(self, error: DomainError) -> None:
        """As always; to whoever comes after somebody else it also shows what stands now beside what was entered (CC-03)."""
        super().refuse(error)
        self.show_overtaken(error)

    def show_overtaken(self, error: DomainError) -> None:
        if isinstance(error, StaleVersion):
            self.overtaken = tuple(row for row in self.beside() if row.now != row.entered)

    def beside(self) -> Iterator[Overtaken]:
        for name, now in self.standing().items():
            field, entered = self.fields[name], self.cleaned_data.get(name)
            yield Overtaken(self.part_label(name), shown(field, now), shown(field, entered))

    def part_label(self, name: str) -> str:
        return str(self.fields[name].label)


def shown(field: forms.Field, value: object) -> str:
    """A value as the reader of the form knows it: by the label of a choice, in one notation."""
    if isinstance(value, bool):
        return str(gettext_lazy("yes") if value else gettext_lazy("no"))
    if isinstance(value, datetime.datetime):
        return date_format(timezone.localtime(value), "H:i d/m/Y")
    if isinstance(value, datetime.date):
        return date_format(value, "d/m/Y")
    if isinstance(field, forms.ModelChoiceField):
        return "" if value is None else str(value)
    value = field.prepare_value(value)
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, indent=2)
    known = dict(getattr(field, "choices", ()))
    return "" if value is None else str(known.get(value, value)).replace("\r\n", "\n")


class ChangeForm(VerbForm):
    """A form that begins with what is stored and gives the verb only what was changed, and the version that was seen."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, obj, **kwargs) -> None:
        initial = {name: getattr(obj, name) for name in self.base_fields if hasattr(obj, name)}
        super().__init__(*args, obj=obj, initial={**initial, **kwargs.pop("initial", {})}, **kwargs)

    def standing(self) -> dict:
        self.obj.refresh_from_db()
        return {name: getattr(self.obj, name) for name in self.fields if name != "version" and hasattr(self.obj, name)}

    def facts(self) -> dict:
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "version"} | {
            "version": self.cleaned_data["version"]
        }


class FollowingForm(VerbForm):
    """A form of the next wording, text or value: it begins with the present one of `obj`, which is not edited."""

    def __init__(self, *args, obj, **kwargs) -> None:
        present = {name: getattr(obj, name) for name in self.base_fields if name != "effective_from" and hasattr(obj, name)}
        super().__init__(*args, obj=obj, initial={**present, **kwargs.pop("initial", {})}, **kwargs)

    def standing(self) -> dict:
        """The wording that followed meanwhile."""
        last = type(self.obj).objects.filter(code=self.obj.code).order_by("-effective_from").first()
        return {name: getattr(last, name) for name in self.fields if hasattr(last, name)}


class ReasonForm(VerbForm):
    reason = forms.CharField(label=gettext_lazy("reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))


class NoFacts(VerbForm):
    """A verb that asks nothing but “yes”."""


@dataclass(frozen=True)
class VerbPage:
    """One verb's page.

    `run(request, obj, form)` calls the verb; it may return an object (to go to its page), a response, or None.
    `permission` decides whether the button is drawn and the page opens; the verb asks again. `when` hides a button that
    makes no sense now. `on_list` puts it on the list instead of on a row's page.
    """

    name: str
    label: object
    run: Callable
    permission: str
    form: type[VerbForm] = NoFacts
    style: str = "default"
    help: object = ""
    done: object = gettext_lazy("Done.")
    when: Callable[[object], bool] = lambda obj: True
    on_list: bool = False
    template: str = "registers/verb.html"


class Register(ReadOnlyAdmin):
    """A read-only admin with verb pages; search without tones where the rows know how."""

    verb_pages: tuple[VerbPage, ...] = ()
    list_before_template = "registers/list_buttons.html"
    change_form_outer_before_template = "registers/row_buttons.html"
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False

    def get_urls(self):
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("do/<slug:name>/", wrap(self.list_verb), name=f"{prefix}_list_verb"),
            path("<str:object_id>/do/<slug:name>/", wrap(self.row_verb), name=f"{prefix}_verb"),
            *super().get_urls(),
        ]

    def lookup_allowed(self, lookup, value, request=None) -> bool:
        return lookup in _LIST_PARAMETERS or super().lookup_allowed(lookup, value, request)

    def get_search_results(self, request, queryset, search_term):
        if search_term and hasattr(queryset, "search"):
            return queryset.search(search_term), False
        return super().get_search_results(request, queryset, search_term)

    def buttons(self, request: HttpRequest, obj=None) -> list[dict]:
        """The verbs this person may take now: what the buttons are drawn from."""
        return [
            {"label": page.label, "url": self._address(page, obj), "style": page.style}
            for page in self.verb_pages
            if page.on_list == (obj is None) and request.user.has_perm(page.permission, obj) and (obj is None or page.when(obj))
        ]

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {**(extra_context or {}), "verb_buttons": self.buttons(request)})

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        obj = self.get_object(request, object_id) if object_id else None
        more = {"verb_buttons": self.buttons(request, obj) if obj else [], "register_object": obj}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def list_verb(self, request: HttpRequest, name: str) -> HttpResponse:
        return self._open(request, self._page(name, on_list=True), None)

    def row_verb(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        return self._open(request, self._page(name, on_list=False), obj)

    def _page(self, name: str, *, on_list: bool) -> VerbPage:
        found = next((page for page in self.verb_pages if page.name == name and page.on_list == on_list), None)
        if found is None:
            raise Http404
        return found

    def _open(self, request: HttpRequest, page: VerbPage, obj) -> HttpResponse:
        if not request.user.has_perm(page.permission, obj):
            raise PermissionDenied
        posted = (request.POST, request.FILES) if request.method == "POST" else ()
        chosen = {"initial": {"operation": request.GET["operation"]}} if "operation" in request.GET else {}
        form = page.form(*posted, user=request.user, obj=obj, **chosen)
        status = 200
        if posted and form.is_valid():
            try:
                return self._done(request, page, obj, page.run(request, obj, form))
            except NotFound:
                raise Http404 from None
            except DomainError as error:
                if error.status in (403, 409):
                    request.refused = error  # the audit floor writes it down
                form.refuse(error)
                status = error.status
        return never_cache(self._draw)(request, page, obj, form, status)

    def _draw(self, request, page: VerbPage, obj, form, status: int) -> HttpResponse:
        crumbs = [(self.opts.verbose_name_plural.capitalize(), self._list_address())]
        if obj is not None:
            crumbs.append((str(obj), self._row_address(obj)))
        context = {
            "title": str(page.label), "crumbs": crumbs, "form": form, "page": page, "object": obj,
            "back": self._row_address(obj) if obj is not None else self._list_address(),
        }  # fmt: skip
        return render(request, page.template, context, status=status)

    def _done(self, request, page: VerbPage, obj, result) -> HttpResponse:
        if isinstance(result, HttpResponse):
            return result
        messages.success(request, str(page.done))
        target = result if isinstance(result, self.model) else obj
        if target is None or not self.get_queryset(request).filter(pk=target.pk).exists():
            return HttpResponseRedirect(self._list_address())
        return HttpResponseRedirect(self._row_address(target))

    def _list_address(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _row_address(self, obj) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(getattr(obj, self.public_id),))

    def _address(self, page: VerbPage, obj) -> str:
        prefix = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if obj is None:
            return reverse(f"{prefix}_list_verb", args=(page.name,))
        return reverse(f"{prefix}_verb", args=(getattr(obj, self.public_id), page.name))


def steps(workflow, verbs: dict[str, Callable], *, form: type[VerbForm] = ReasonForm) -> tuple[VerbPage, ...]:
    """A page for each step of a lifecycle's table that has a verb here; shown only in the states it starts from."""

    def page(step) -> VerbPage:
        verb = verbs[step.verb]
        return VerbPage(
            step.verb, step.label, lambda request, obj, given: verb(obj, by=request.user, **given.facts()),
            step.permission, form, step.style, when=lambda obj: obj.status in step.sources,
        )  # fmt: skip

    return tuple(page(step) for step in workflow.steps if step.verb in verbs and step.permission)


def facts_of(verb: Callable) -> Callable:
    """`run` of a page whose verb takes the row and the form's facts as they are."""
    return lambda request, obj, form: verb(obj, by=request.user, **form.facts())
