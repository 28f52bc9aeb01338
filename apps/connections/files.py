"""Files of a case: what is accepted, judged by its bytes, and where it rests.

A file is known by its first bytes and its inner structure, never by the name or type the browser claims. It is
stored under MEDIA_ROOT (no web root, no URL) by the uuid of its row, and leaves only through a view that asks
`visible_to` and answers as an attachment.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from apps.core.archives import DAMAGED
from apps.core.errors import InvalidFact
from apps.core.text import clean

MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED = 200 * 1024 * 1024
TYPES = "[Content_Types].xml"
MAX_TYPES = 2**20
MACROS = (b"vbaproject", b"macroenabled")
OFFICE = {
    "word/document.xml": ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "xl/workbook.xml": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
MAGIC = (
    (b"%PDF-", "pdf", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "png", "image/png"),
    (b"\xff\xd8\xff", "jpg", "image/jpeg"),
)


RUNS = frozenset({
    "apk", "app", "bat", "cmd", "com", "cpl", "dll", "dmg", "exe", "gadget", "hta", "htm", "html", "iso", "jar", "js", "jse", "lnk",
    "mht", "msi", "msp", "php", "pif", "ps1", "py", "reg", "scr", "sh", "shtml", "svg", "url", "vb", "vbe", "vbs", "wsf", "wsh",
    "xhtml",
})  # fmt: skip
"""What a machine or a browser would run. Systems that hide the last ending show `a.exe.pdf` as a program's name (UP-04)."""


def judge(name: str, data: bytes) -> tuple[str, str]:
    """(safe name, media type) of an acceptable file. Raises InvalidFact (`file_*`) that says why not."""
    if not data:
        raise InvalidFact(_("The file is empty."), code="file_empty")
    if len(data) > MAX_BYTES:
        raise InvalidFact(_("A file may have at most %(size)s MB.") % {"size": MAX_BYTES // 2**20}, code="file_too_large")
    extension, media_type = _kind(data)
    stem = clean(PurePosixPath(name.replace("\\", "/")).name).strip(". ")
    claimed = Path(stem).suffix.lower().lstrip(".")
    if {"jpeg": "jpg"}.get(claimed, claimed) != extension:
        raise InvalidFact(
            _("The content of the file is %(found)s, its name says %(claimed)s.")
            % {"found": extension, "claimed": claimed or "?"},
            code="file_not_what_it_says",
        )
    hidden = next((part for part in stem.lower().split(".")[1:-1] if part.strip() in RUNS), None)
    if hidden is not None:
        raise InvalidFact(
            _("The name holds a second ending, .%(hidden)s, that stands for a program or a page: rename the file.")
            % {"hidden": hidden.strip()},
            code="file_double_extension",
        )
    return stem[-200:], media_type


def _kind(data: bytes) -> tuple[str, str]:
    for magic, extension, media_type in MAGIC:
        if data.startswith(magic):
            return extension, media_type
    if data.startswith(b"PK\x03\x04"):
        return _office(data)
    raise InvalidFact(_("Only PDF, PNG, JPEG, DOCX and XLSX files are accepted."), code="file_type")


def _office(data: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            types = _types(archive)
    except (*DAMAGED, RuntimeError, OSError, zlib.error, lzma.LZMAError) as error:  # a password, a part that does not unpack
        raise InvalidFact(_("The file is damaged."), code="file_damaged") from error
    names = {entry.filename for entry in entries}
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED or len(entries) > 5000:
        raise InvalidFact(_("The file unpacks to more than is accepted."), code="file_bomb")
    # A part is what the list of types calls it: macros need not be named as Word names them.
    if any(name.lower().endswith("vbaproject.bin") for name in names) or any(word in types for word in MACROS):
        raise InvalidFact(_("Files with macros are not accepted."), code="file_macros")
    for marker, kind in OFFICE.items():
        if marker in names and TYPES in names:
            return kind
    raise InvalidFact(_("Only PDF, PNG, JPEG, DOCX and XLSX files are accepted."), code="file_type")


def _types(archive: zipfile.ZipFile) -> bytes:
    """The list of the parts' types, lower case; of UTF-16 every second byte. Raises ValueError for one that is too long to be one."""
    if TYPES not in archive.namelist():
        return b""
    with archive.open(TYPES) as part:
        found = part.read(MAX_TYPES + 1)
    if len(found) > MAX_TYPES:
        raise ValueError("the list of types is too long")
    return found.replace(b"\0", b"").lower()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def path_of(attachment) -> str:
    return f"{attachment._meta.model_name}/{attachment.uuid.hex[:2]}/{attachment.uuid}"


def keep(attachment, data: bytes) -> None:
    """Write the bytes. A file whose transaction rolls back is left over and harmless: no row names it."""
    default_storage.save(path_of(attachment), ContentFile(data))


def read(attachment) -> bytes:
    """The bytes as they were uploaded. Raises InvalidFact when the disk holds others (`file_altered`) or none."""
    try:
        with default_storage.open(path_of(attachment)) as file:
            data = file.read()
    except FileNotFoundError as error:
        raise InvalidFact(_("The file is missing from the store."), code="file_missing") from error
    if digest(data) != attachment.sha256:
        raise InvalidFact(_("The stored file is not the one that was uploaded."), code="file_altered")
    return data
