"""Attached files rest outside everything a web server or the portal serves, and leave by one door."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.views import serve as serve_static
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.views.static import serve

from apps.connections import files
from apps.connections.actions import attach_file
from lgsp.dev.processes import ROOT
from tests.factories.connections import complete_draft

SECRET = b"%PDF-1.7 chi ben trong moi duoc doc"


def served_folders() -> set[Path]:
    """Every folder from which the portal answers `/static/…`, in development and in production."""
    found = {Path(storage.location) for finder in finders.get_finders() for storage in getattr(finder, "storages", {}).values()}
    return {folder.resolve() for folder in found | {Path(settings.STATIC_ROOT), *map(Path, settings.STATICFILES_DIRS)}}


def views(resolver=None):
    """Every view the portal has an address for."""
    for pattern in (resolver or get_resolver("lgsp.urls")).url_patterns:
        yield from views(pattern) if isinstance(pattern, URLResolver) else [pattern.callback]


@pytest.fixture
def stored(w) -> tuple[str, Path]:
    """An attached file as the store names it, and where it is on the disk."""
    attachment = attach_file(complete_draft(w), by=w.consumer_officer, name="mat.pdf", data=SECRET)
    name = files.path_of(attachment)
    return name, Path(settings.MEDIA_ROOT).resolve() / name


def test_the_store_is_in_no_folder_that_is_served(stored):
    _name, on_disk = stored
    assert on_disk.read_bytes() == SECRET, "this is where it rests"
    assert len(served_folders()) > 3
    assert [folder for folder in served_folders() if on_disk.is_relative_to(folder)] == []
    assert not getattr(settings, "WHITENOISE_ROOT", None), "a folder served from the root of the site"


def test_no_address_of_the_portal_serves_files_of_a_folder():
    found = list(views())
    assert len(found) > 200
    assert [view for view in found if getattr(view, "__wrapped__", view) in (serve, serve_static)] == []
    assert not settings.MEDIA_URL.strip("/"), "the store has no address of its own"


def test_the_edge_serves_no_folder():
    configurations = sorted((ROOT / "deploy/nginx").glob("*.conf"))
    assert configurations
    words = [line.split()[0] for path in configurations for line in path.read_text().splitlines() if line.strip()]
    assert {"root", "alias", "try_files"} & set(words) == set()


@pytest.mark.parametrize(
    "address", ["/{name}", "/media/{name}", "/static/{name}", "/static/../media/{name}", "/static/%2e%2e/media/{name}",
                "/static/..%2fmedia%2f{name}", "/portal/{name}", "/portal/media/{name}", "/static/{disk}"],
)  # fmt: skip
def test_nobody_reads_a_stored_file_by_its_place(w, stored, address):
    name, on_disk = stored
    assert default_storage.url(name) == f"/{name}", "the one address the store would give it is the first tried here"
    for person in (w.consumer_officer, w.operator, None):
        client = Client()
        if person:
            client.force_login(person)
        answer = client.get(address.format(name=name, disk=on_disk))
        assert answer.status_code == 404, address
        assert SECRET not in b"".join(answer) if answer.streaming else SECRET not in answer.content


def test_no_static_file_is_found_by_a_way_out_of_its_folder(stored):
    name, on_disk = stored
    assert finders.find(name) is None
    for way in (f"../media/{name}", f"../var/media/{name}", str(on_disk)):
        with pytest.raises(SuspiciousFileOperation):
            finders.find(way)
