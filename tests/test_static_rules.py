"""SC-02, SC-03, AN-05, AZ-07, UP-05: what the code may not say, read from its syntax trees. Every exception is named here.

A rule is a function of one node that returns what is wrong or ""; `test_every_rule_sees_its_crime` shows that each can fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted(path for folder in ("apps", "lgsp") for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
HEAVY = {"pyhanko", "pyhanko_certvalidator", "openpyxl", "weasyprint", "fontTools"}
"""Libraries for a few requests of a day that would be most of the start of every process: loaded where they are used."""
HTTP_CLIENTS = {"requests", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client", "ftplib", "smtplib", "pycurl"}
MAY = {
    "client": {"apps/core/outbound.py", "lgsp/dev/processes.py"},
    "wake": {"apps/core/wake.py"},
    "random": {"apps/sync/walk.py", "apps/notices/outbox.py"},
    "safe": set(),
    "equals": set(),
}  # fmt: skip
"""Rule → files that may. Clients: the one egress module, and the supervisor that asks its own processes. Dice: jitter of retries."""


def _name(node: ast.AST) -> str:
    """`a.b.c` of a call or attribute, as written."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or "", *[f"{node.module}.{alias.name}" for alias in node.names]]
    return []


def runs_text(node: ast.AST) -> str:
    called = _name(node) if isinstance(node, ast.Call) else ""
    return called if called in {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execl"} else ""


def unpickles(node: ast.AST) -> str:
    bad = {"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle", "xml.dom.minidom", "xml.sax", "lxml"}
    found = [name for name in _imports(node) if name in bad or name.startswith("xml.etree")]
    if found and isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} <= {"Element", "ParseError"}:
        return ""  # types of the standard library may be named; what parses is defusedxml's
    if isinstance(node, ast.Call) and _name(node) in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}:
        found.append(_name(node))
    return ", ".join(found)


def opens_a_shell(node: ast.AST) -> str:
    given = node.keywords if isinstance(node, ast.Call) else []
    return "shell=True" if any(k.arg == "shell" and getattr(k.value, "value", True) is not False for k in given) else ""


def trusts_any_certificate(node: ast.AST) -> str:
    given = node.keywords if isinstance(node, ast.Call) else []
    if any(k.arg == "verify" and getattr(k.value, "value", None) is False for k in given):
        return "verify=False"
    names = {"ssl._create_unverified_context", "ssl.CERT_NONE"}
    return _name(node) if isinstance(node, ast.Call | ast.Attribute) and _name(node) in names else ""


def marks_safe(node: ast.AST) -> str:
    called = _name(node) if isinstance(node, ast.Call) else ""
    if called.split(".")[-1] in {"mark_safe", "SafeString", "SafeText", "html_safe"}:
        return called
    if called.split(".")[-1] == "format_html" and node.args and not isinstance(node.args[0], ast.Constant):
        return "format_html of a text that is put together"
    return ""


def asks_by_whatever_was_sent(node: ast.AST) -> str:
    """`filter(**request.GET…)`: field names chosen by the caller."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    if node.func.attr not in {
        "filter",
        "exclude",
        "get",
        "order_by",
        "values",
        "values_list",
        "annotate",
        "create",
        "update",
        "Q",
    }:
        return ""
    spread = [k.value for k in node.keywords if k.arg is None] + [a.value for a in node.args if isinstance(a, ast.Starred)]
    text = " ".join(
        ast.unparse(value) for value in spread if not _name(value).split(".")[0].isupper()
    )  # a row of a table of ours
    sent = re.search(r"\b(request|query_params|GET|POST|cleaned_data|validated_data|data)\b", text)
    return f".{node.func.attr}(**{text})" if sent else ""


def calls_out(node: ast.AST) -> str:
    return ", ".join(sorted({name for name in _imports(node) if name in HTTP_CLIENTS}))


def wakes_a_worker(node: ast.AST) -> str:
    attribute = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return f".{attribute}(" if attribute in {"delay", "apply_async", "send_task"} else ""


_SECRET = re.compile(r"(^|_)(secret|password|token|hmac|signature|api_key|access_key|otp|secret_hash|token_hash|key_hash)($|_)")
_NO_SECRET = re.compile(r"kind|type|status|url|expire|count|size|length|number|content_digest|request_digest|answer_digest")


def compares_a_secret(node: ast.AST) -> str:
    """`==` on something named like a secret: it takes as long as the guess is right (AN-05)."""
    if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        return ""
    sides = [node.left, *node.comparators]
    if any(isinstance(side, ast.Constant | ast.List | ast.Tuple) for side in sides):
        return ""
    for side in sides:
        key = getattr(getattr(side, "slice", None), "value", "")
        last = _name(side).split(".")[-1] or (key if isinstance(key, str) else "")
        if _SECRET.search(last) and not _NO_SECRET.search(last):
            return ast.unparse(node)
    return ""


def is_exempt_from_csrf(node: ast.AST) -> str:
    return "csrf_exempt" if isinstance(node, ast.Name | ast.Attribute) and _name(node).endswith("csrf_exempt") else ""


def hashes_weakly(node: ast.AST) -> str:
    called = _name(node) if isinstance(node, ast.Call) else ""
    return called if called in {"hashlib.md5", "hashlib.sha1", "tempfile.mktemp"} else ""


def rolls_dice(node: ast.AST) -> str:
    return "random" if "random" in _imports(node) else ""


def writes_sql_by_hand(node: ast.AST) -> str:
    """`.raw()` and `.extra()`: SQL that the ORM does not see; `cursor.execute` of a text put together is S608's."""
    attribute = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return f".{attribute}(" if attribute in {"extra", "RawSQL"} or (attribute == "raw" and "objects" in _name(node)) else ""


def locks_what_refers_too(node: ast.AST) -> str:
    """FOR UPDATE also stops every row that refers to the locked one, at its commit: a circle that no order of locks prevents."""
    if not isinstance(node, ast.Call) or not _name(node).endswith("select_for_update"):
        return ""
    given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
    return "" if given.get("no_key") is True else "select_for_update without no_key=True"


def loads_early(node: ast.AST) -> str:
    names = [name for line in node.body for name in _imports(line)] if isinstance(node, ast.Module) else []
    return ", ".join(sorted({name.split(".")[0] for name in names} & HEAVY))


RULES: dict[Callable[[ast.AST], str], str] = {
    runs_text: "", unpickles: "", opens_a_shell: "", trusts_any_certificate: "", marks_safe: "safe",
    asks_by_whatever_was_sent: "", calls_out: "client", wakes_a_worker: "wake", compares_a_secret: "equals",
    is_exempt_from_csrf: "", hashes_weakly: "", rolls_dice: "random", writes_sql_by_hand: "", locks_what_refers_too: "",
    loads_early: "",
}  # fmt: skip
"""Rule → the key of its exceptions in `MAY`."""
CRIMES = {
    runs_text: "eval(x)", unpickles: "import pickle", opens_a_shell: "run(x, shell=True)",
    trusts_any_certificate: "get(u, verify=False)", marks_safe: "format_html(f'<b>{x}</b>')",
    asks_by_whatever_was_sent: "Grant.objects.filter(**request.GET.dict())", calls_out: "from requests import get",
    wakes_a_worker: "sync.delay(1)", compares_a_secret: "given == row.secret_hash", is_exempt_from_csrf: "csrf_exempt(view)",
    hashes_weakly: "hashlib.md5(x)", rolls_dice: "import random", writes_sql_by_hand: "Grant.objects.raw(x)",
    locks_what_refers_too: "Grant.objects.select_for_update()", loads_early: "from openpyxl.cell import WriteOnlyCell",
}  # fmt: skip


def broken(rule: Callable[[ast.AST], str], tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if text := rule(node):
            yield getattr(node, "lineno", 0), text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_sees_its_crime(rule):
    assert list(broken(rule, ast.parse(CRIMES[rule])))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sc_02_no_file_breaks_the_rule(rule, trees):
    may = MAY.get(RULES[rule], set())
    found = [f"{path}:{line}: {text}" for path, tree in trees.items() if path not in may for line, text in broken(rule, tree)]
    assert found == []


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.AST]:
    assert len(CODE) > 200
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in CODE}


def test_exceptions_are_of_files_that_need_them(trees):
    """A file that no longer breaks a rule loses its exception."""
    for rule, key in RULES.items():
        for path in MAY.get(key, set()):
            assert list(broken(rule, trees[path])), f"{path} does not need its exception from {rule.__name__}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_up_05_no_template_prints_data_as_markup_or_carries_a_script(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(
        r"\|\s*safe\b|\{%\s*autoescape\s+off|\|\s*safeseq|<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+\s*=\s*[\"']|javascript:", text
    )
    assert found == [], "CSP lets no inline script run, and data is never markup"


def test_sc_03_the_worker_reads_json_only():
    from lgsp.celery import app

    assert (app.conf.task_serializer, list(app.conf.accept_content)) == ("json", ["json"])
    assert app.conf.task_ignore_result
    assert app.conf.result_backend is None
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
