"""What each consumer says of the sensitive personal data it takes (AG-20): its impact assessment as files, or why it needs none.

A content holds it by consumer, `personal_data.assessments`, since format 3:

    [{"organization": "H03.1", "exemption": "…", "files": [{"name": "danh-gia-tac-dong.pdf", "sha256": "…"}]}]

Each consumer's is its own: a joining adds the joiner's, a change replaces that of the agency that asks for it, and the others' stay.
Contents before hold one text and no file (`assessment_or_exemption`). They are read as they are; the content that follows one of them
takes what each has said from the requests that the old one rests on.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from apps.connections.choices import AttachmentKind
from apps.connections.models import Attachment, ConnectionRequest

KEY, TEXT = "assessments", "assessment_or_exemption"


def of_request(request: ConnectionRequest) -> list[dict]:
    """What the agency that files `request` says in it, as the row of a content; none when it says nothing."""
    files = request.attachments.present().filter(kind=AttachmentKind.ASSESSMENT).values("name", "sha256")
    named = sorted(({**file} for file in files), key=lambda file: (file["name"], file["sha256"]))
    if not named and not request.exemption_reason.strip():
        return []
    return [{"organization": request.consumer.code, "exemption": request.exemption_reason, "files": named}]


def stated(content: dict) -> list[dict]:
    """The rows of a content of any format. The one text of an older content is its only consumer's; of several it is nobody's by name ("")."""
    personal, consumers = content.get("personal_data", {}), content.get("consumers", [])
    if KEY in personal:
        return personal[KEY]
    whose = consumers[0]["code"] if len(consumers) == 1 else ""
    return [{"organization": whose, "exemption": personal[TEXT], "files": []}] if personal.get(TEXT) else []


def known(content: dict) -> dict[str, dict]:
    """Consumer → its row; of an older content read from the requests it rests on, the newest of each."""
    codes = [row["code"] for row in content["consumers"]]
    if KEY in content["personal_data"]:
        return {row["organization"]: row for row in content["personal_data"][KEY]}
    found = {code: row for code, row in _said_in(content["requests"]).items() if code in codes}
    text = content["personal_data"].get(TEXT, "")
    if text and text not in {row["exemption"] for row in found.values()}:
        # Of an agency that another has taken the place of.
        heir = next((code for code in codes if code not in found), None)
        if heir is not None:
            found[heir] = {"organization": heir, "exemption": text, "files": []}
    return found


def _said_in(named: list[dict]) -> dict[str, dict]:
    """What the requests named in a content say, by agency; a later one takes the place of an earlier one."""
    numbers = [row["number"] for row in named]
    requests = ConnectionRequest.objects.filter(number__in=numbers).select_related("consumer")
    found: dict[str, dict] = {}
    for request in sorted(requests, key=lambda row: numbers.index(row.number)):
        found.pop(request.consumer.code, None)
        found.update((row["organization"], row) for row in of_request(request))
    return found


def personal_data(old: dict, consumers: Iterable[str], sensitive: list[str], request: ConnectionRequest | None = None) -> dict:
    """The item of the content that follows `old`: what each of `consumers` has said; the agency that files `request`, what it says in it."""
    rows, codes = known(old), set(consumers)
    if request is not None:
        rows.pop(request.consumer.code, None)
        rows.update((row["organization"], row) for row in of_request(request))
    return {"sensitive_fields": sensitive, KEY: [rows[code] for code in sorted(rows) if code in codes]}


def handed_over(old: dict, source: str, into: str) -> dict:
    """The item of a content in which `into` takes the place of `source`: what either of them said is its own."""
    rows = known(old)
    former, present = rows.pop(source, None), rows.get(into)
    if former is not None:
        both = [row for row in (present, former) if row]
        texts = dict.fromkeys(row["exemption"] for row in both if row["exemption"])
        files = {(file["name"], file["sha256"]): file for row in both for file in row["files"]}
        rows[into] = {"organization": into, "exemption": "\n".join(texts), "files": [files[key] for key in sorted(files)]}
    return {"sensitive_fields": old["personal_data"]["sensitive_fields"], KEY: [rows[code] for code in sorted(rows)]}


def files_of(agreement, row: dict) -> list[Attachment]:
    """The files that a row names, as they were handed in with requests of `agreement`, each once."""
    hashes = [file["sha256"] for file in row["files"]]
    found = Attachment.objects.present().filter(
        kind=AttachmentKind.ASSESSMENT, sha256__in=hashes, request__basis__agreement=agreement
    )
    return list({file.sha256: file for file in found.order_by("pk")}.values())


def words(row: dict) -> list[str]:
    """The text of a row, and its files with the beginning of their hashes."""
    files = [
        _("Impact assessment on file: %(name)s (SHA-256 %(hash)s…)") % {"name": file["name"], "hash": file["sha256"][:16]}
        for file in row["files"]
    ]
    return [line for line in (row["exemption"], *files) if line]
