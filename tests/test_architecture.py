"""The floors of the house, and the habits no review should have to look for.

Every rule is a function from a parsed file to sentences, `file:line …`; each is proved to bite by a bad example below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("audit",),
    ("accounts",),
    ("legal", "notices"),
    ("organizations",),
    ("catalogs",),
    ("registry",),
    ("connections",),
    ("agreements",),
    ("disputes",),
    ("gateway", "sync"),
    ("portal",),
)
"""From the ground up. A module imports its own app and lower floors; neighbours on one floor do not see each other."""
LEVEL = {app: level for level, apps in enumerate(FLOORS) for app in apps}
ISLAND = "sandbox"

RELATIONS = {"ForeignKey", "OneToOneField", "ManyToManyField", "TreeNodeForeignKey"}
EXTENSIONS = re.compile(r"\bCREATE\s+EXTENSION\b", re.IGNORECASE)
EXTENSION_OPERATIONS = re.compile(r"^(CreateExtension|\w+Extension)$")
NEWER_THAN_15 = re.compile(
    r"\buuidv7\s*\(|\buuidv4\s*\(|\bWITHOUT\s+OVERLAPS\b|\bJSON_TABLE\s*\(|\bANY_VALUE\s*\(|\brandom_normal\s*\("
    r"|\bGENERATED\s+ALWAYS\s+AS\s*\([^)]*\)\s*VIRTUAL\b|\bMERGE\s+INTO\b.*\bRETURNING\b|\btransaction_timeout\b"
    r"|\bRETURNING\s+(WITH\s*\(|OLD\.|NEW\.)",
    re.IGNORECASE | re.DOTALL,
)
OUTSIDE = re.compile(r"(^|[\s'\"=])/(work|home|root|opt|mnt|srv|Users)/|(^|/)\.\./(\.\./)*shared\b")
HTTP_CLIENTS = {"requests", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client"}
HTTP_HOMES = ("apps/core/outbound.py", "apps/sandbox/")
WAKE_UPS = {"delay", "apply_async", "send_task"}
SECRET_NAME = re.compile(r"(secret|password|token|token_hash|secret_hash|signature)$")
BAD_NAMES = {"utils.py", "helpers.py", "services.py", "managers.py"}


class Source:
    """One Python file: its path in the repository, its tree, and the app it belongs to ("" for lgsp and tests)."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.tree = ast.parse(text)
        parts = path.split("/")
        self.app = parts[1] if parts[0] == "apps" and len(parts) > 2 else ""
        self.package = ".".join(parts[:-1])
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def at(self, node: ast.AST, sentence: str) -> str:
        return f"{self.path}:{node.lineno} {sentence}"

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def docstrings(self) -> set[ast.AST]:
        """Strings that are expression statements: prose, not values."""
        return {n.value for n in ast.walk(self.tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}

    def strings(self) -> Iterator[ast.Constant]:
        prose = self.docstrings()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
                yield node

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every imported module, wherever in the file, as an absolute dotted name (with the imported name added)."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    here = self.package.split(".")
                    base = ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])
                for alias in node.names:
                    yield node, f"{base}.{alias.name}"

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Every call with the last part of the called name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, _last_name(node.func)


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# --- the floors ---------------------------------------------------------------------------------


def floors(source: Source) -> Iterator[str]:
    """`file -> app` for each import or reference that does not go down the stairs."""
    if not source.app:
        return
    for node, target in _references(source):
        if target != source.app and not _may_see(source.app, target):
            yield source.at(node, f"{source.app} -> {target}")
    for node, name in source.imports():
        if name.split(".")[0] in ("lgsp", "tests", "benchmarks"):
            yield source.at(node, f"{source.app} -> {name.split('.')[0]} (wiring and tests are never imported by an app)")


def _may_see(app: str, target: str) -> bool:
    if ISLAND in (app, target) or app not in LEVEL or target not in LEVEL:
        return False
    return LEVEL[target] < LEVEL[app]


def _references(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """The apps a file refers to: imports anywhere, dotted strings, string foreign keys, get_model, migration dependencies."""
    for node, name in source.imports():
        if name.startswith("apps."):
            yield node, name.split(".")[1]
    for node in source.strings():
        if dotted := re.match(r"^apps\.(\w+)(\.|$)", node.value):
            yield node, dotted[1]
    for node, name in source.calls():
        if name in RELATIONS:
            yield from _string_relations(node)
        elif name == "get_model" and node.args and isinstance(node.args[0], ast.Constant):
            label = str(node.args[0].value).split(".")[0]
            if label in LEVEL or label == ISLAND:
                yield node, label
    if "/migrations/" in source.path:
        yield from _migration_dependencies(source)


def _string_relations(call: ast.Call) -> Iterator[tuple[ast.AST, str]]:
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("to", "through")]
    for value in [*call.args[:1], *named]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and "." in value.value:
            label = value.value.split(".")[0]
            if label in LEVEL or label == ISLAND:
                yield call, label


def _migration_dependencies(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and any(_last_name(t) in ("dependencies", "run_before") for t in node.targets):
            for pair in ast.walk(node.value):
                if isinstance(pair, ast.Tuple) and pair.elts and isinstance(pair.elts[0], ast.Constant):
                    label = pair.elts[0].value
                    if label in LEVEL or label == ISLAND:
                        yield pair, label


# --- the habits ---------------------------------------------------------------------------------


def stays_in_the_checkout(source: Source) -> Iterator[str]:
    for node in source.strings():
        if OUTSIDE.search(node.value):
            yield source.at(node, f"names a place outside the checkout: {node.value[:60]!r}")


def postgresql_15_without_extensions(source: Source) -> Iterator[str]:
    if not source.path.startswith(("apps/", "lgsp/")):
        return
    for node in source.strings():
        if EXTENSIONS.search(node.value):
            yield source.at(node, "makes an extension (the embedded PostgreSQL has none)")
        if NEWER_THAN_15.search(node.value):
            yield source.at(node, "uses SQL that PostgreSQL 15 does not know")
    for node, name in source.calls():
        if "/migrations/" in source.path and EXTENSION_OPERATIONS.match(name):
            yield source.at(node, "makes an extension (the embedded PostgreSQL has none)")
        if name == "GeneratedField" and any(k.arg == "db_persist" and _is(k.value, False) for k in node.keywords):
            yield source.at(node, "uses a virtual generated column (PostgreSQL 18)")


def no_dangerous_calls(source: Source) -> Iterator[str]:
    """eval, exec, pickle, marshal, yaml.load, shell=True, os.system, mark_safe, verify=False."""
    for node, name in source.calls():
        if isinstance(node.func, ast.Name) and name in ("eval", "exec"):
            yield source.at(node, f"calls {name}")
        if name == "load" and isinstance(node.func, ast.Attribute) and _last_name(node.func.value) == "yaml":
            yield source.at(node, "calls yaml.load")
        if name == "system" and isinstance(node.func, ast.Attribute) and _last_name(node.func.value) == "os":
            yield source.at(node, "calls os.system")
        for keyword in node.keywords:
            if keyword.arg == "shell" and _is(keyword.value, True):
                yield source.at(node, "runs a shell")
            if keyword.arg == "verify" and _is(keyword.value, False):
                yield source.at(node, "switches certificate checks off")
    for node, name in source.imports():
        if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill"):
            yield source.at(node, f"imports {name.split('.')[0]}")
        if name.endswith(".mark_safe") or name.endswith(".SafeString"):
            yield source.at(node, "imports mark_safe (use format_html)")


def http_only_through_outbound(source: Source) -> Iterator[str]:
    if not source.app or source.path.startswith(HTTP_HOMES):
        return
    for node, name in source.imports():
        if any(name == client or name.startswith(client + ".") for client in HTTP_CLIENTS):
            yield source.at(node, f"imports {name}: HTTP leaves through apps/core/outbound.py")


def wake_ups_only_after_commit(source: Source) -> Iterator[str]:
    """`.delay` and `.apply_async` only inside what is handed to on_commit, or in tasks.py."""
    if not source.app or source.path.endswith("/tasks.py") or "/tasks/" in source.path:
        return
    handed = {
        _last_name(argument)
        for call, name in source.calls()
        if name == "on_commit"
        for argument in call.args
        if _last_name(argument)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in WAKE_UPS:
            around = list(source.ancestors(node))
            in_call = any(isinstance(a, ast.Call) and _last_name(a.func) == "on_commit" for a in around)
            in_function = any(isinstance(a, ast.FunctionDef) and a.name in handed for a in around)
            if not in_call and not in_function:
                yield source.at(node, f".{node.attr} outside transaction.on_commit")


def no_filters_from_the_request(source: Source) -> Iterator[str]:
    for node, name in source.calls():
        if name in ("filter", "exclude", "get", "order_by") and isinstance(node.func, ast.Attribute):
            for keyword in node.keywords:
                text = ast.unparse(keyword.value) if keyword.arg is None else ""
                if re.search(r"request\.(GET|POST|data|query_params)|\b(params|payload|body)\b", text):
                    yield source.at(node, f".{name}(**…) takes its lookups from the request")


def secrets_compared_in_constant_time(source: Source) -> Iterator[str]:
    if not source.app:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, node.comparators[0]]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(SECRET_NAME.search(_last_name(side)) for side in sides):
                yield source.at(node, "compares a secret with == (use hmac.compare_digest)")


def no_model_signals(source: Source) -> Iterator[str]:
    for node, name in source.imports():
        if source.app and name.startswith("django.db.models.signals"):
            yield source.at(node, "uses model signals (a rule belongs in a verb)")


def names_say_what_is_inside(source: Source) -> Iterator[str]:
    if source.app and source.path.rsplit("/", 1)[-1] in BAD_NAMES:
        yield f"{source.path}:1 is named for nothing (name the module for the process)"


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


RULES = (
    floors,
    stays_in_the_checkout,
    postgresql_15_without_extensions,
    no_dangerous_calls,
    http_only_through_outbound,
    wake_ups_only_after_commit,
    no_filters_from_the_request,
    secrets_compared_in_constant_time,
    no_model_signals,
    names_say_what_is_inside,
)


def _files() -> Iterator[Source]:
    for top in ("apps", "lgsp", "tests", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if path != Path(__file__).resolve():
                yield Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return list(_files())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule, sources):
    findings = [finding for source in sources for finding in rule(source)]
    assert not findings, "\n" + "\n".join(findings)


def test_every_app_has_its_floor(sources):
    apps = {source.app for source in sources if source.app}
    assert apps <= {*LEVEL, ISLAND}, f"no floor for {sorted(apps - {*LEVEL, ISLAND})}"


UNSAFE_TEMPLATE = re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off|\|\s*safeseq\b")
FOREIGN_ADDRESS = re.compile(r"""(src|href)\s*=\s*["'](https?:)?//(?!www\.w3\.org)""")


def test_templates_escape_everything_and_load_nothing_from_other_hosts():
    findings = []
    folders = [ROOT / "templates", *(ROOT / "apps").glob("*/templates")]
    for path in sorted(p for folder in folders for p in folder.rglob("*.html")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if UNSAFE_TEMPLATE.search(line) or (FOREIGN_ADDRESS.search(line) and "<a " not in line):
                findings.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}")
    assert not findings, "\n" + "\n".join(findings)


BAD = [
    (floors, "apps/core/models.py", "from apps.audit.models import AuditEvent", "core -> audit"),
    (floors, "apps/registry/actions.py", "def verb():\n    from apps.agreements import actions", "registry -> agreements"),
    (floors, "apps/gateway/policy.py", "import apps.sync.models", "gateway -> sync"),
    (floors, "apps/core/api/views.py", "from ...audit import models", "core -> audit"),
    (floors, "apps/catalogs/models.py", "x = models.ForeignKey('registry.DataService', on_delete=1)", "catalogs -> registry"),
    (floors, "apps/catalogs/models.py", "x = ManyToManyField(to='core.A', through='portal.B')", "catalogs -> portal"),
    (floors, "apps/core/tasks.py", "import_string('apps.sync.tasks.run')", "core -> sync"),
    (floors, "apps/core/a.py", "apps.get_model('sync', 'SyncRun')", "core -> sync"),
    (floors, "apps/core/migrations/0009_a.py", "class M:\n    dependencies = [('sync', '0001_initial')]", "core -> sync"),
    (floors, "apps/sandbox/app.py", "from apps.core import text", "sandbox -> core"),
    (floors, "apps/portal/views.py", "import apps.sandbox.app", "portal -> sandbox"),
    (floors, "apps/core/a.py", "from lgsp import settings", "core -> lgsp"),
    (stays_in_the_checkout, "apps/sync/a.py", "open('/work/shared/data/x.json')", "outside the checkout"),
    (stays_in_the_checkout, "apps/sync/a.py", "open('../shared/data/x.json')", "outside the checkout"),
    (postgresql_15_without_extensions, "apps/core/migrations/0009_a.py", "S = 'create extension btree_gist'", "extension"),
    (postgresql_15_without_extensions, "apps/core/migrations/0009_a.py", "o = [UnaccentExtension()]", "extension"),
    (postgresql_15_without_extensions, "apps/gateway/a.py", "S = 'SELECT uuidv7()'", "15"),
    (postgresql_15_without_extensions, "apps/gateway/a.py", "S = '''MERGE INTO a USING b\nRETURNING *'''", "15"),
    (no_dangerous_calls, "apps/core/a.py", "eval(x)", "eval"),
    (no_dangerous_calls, "apps/core/a.py", "import pickle", "pickle"),
    (no_dangerous_calls, "apps/core/a.py", "yaml.load(x)", "yaml"),
    (no_dangerous_calls, "apps/core/a.py", "subprocess.run(x, shell=True)", "shell"),
    (no_dangerous_calls, "apps/core/a.py", "from django.utils.safestring import mark_safe", "mark_safe"),
    (no_dangerous_calls, "apps/core/a.py", "get(x, verify=False)", "certificate"),
    (http_only_through_outbound, "apps/sync/clients/ngsp.py", "import requests", "outbound"),
    (http_only_through_outbound, "apps/sync/clients/ngsp.py", "from urllib.request import urlopen", "outbound"),
    (wake_ups_only_after_commit, "apps/sync/actions.py", "def verb(x):\n    run.delay(x)", "on_commit"),
    (wake_ups_only_after_commit, "apps/sync/actions.py", "def verb(x):\n    run.apply_async((x,))", "on_commit"),
    (no_filters_from_the_request, "apps/core/a.py", "rows.filter(**request.GET.dict())", "request"),
    (secrets_compared_in_constant_time, "apps/core/a.py", "ok = given_token == row.token_hash", "secret"),
    (no_model_signals, "apps/core/a.py", "from django.db.models.signals import post_save", "signals"),
    (names_say_what_is_inside, "apps/core/utils.py", "", "named for nothing"),
]


@pytest.mark.parametrize(("rule", "path", "text", "says"), BAD, ids=[f"{r.__name__}-{n}" for n, (r, *_) in enumerate(BAD)])
def test_a_broken_rule_is_found(rule, path, text, says):
    assert any(says in finding for finding in rule(Source(path, text)))


GOOD = [
    (floors, "apps/agreements/models.py", "from apps.connections.models import A\nfrom . import querysets"),
    (floors, "apps/audit/models.py", "actor = ForeignKey(settings.AUTH_USER_MODEL, on_delete=1)"),
    (floors, "lgsp/settings.py", "X = 'apps.portal.middleware.A'"),
    (wake_ups_only_after_commit, "apps/sync/actions.py", "transaction.on_commit(lambda: run.delay(x))"),
    (wake_ups_only_after_commit, "apps/sync/actions.py", "transaction.on_commit(partial(run.delay, x))"),
    (
        wake_ups_only_after_commit,
        "apps/sync/actions.py",
        "def a():\n    def wake():\n        run.delay(1)\n    on_commit(wake)",
    ),
    (wake_ups_only_after_commit, "apps/sync/tasks.py", "run.delay(x)"),
    (postgresql_15_without_extensions, "apps/core/a.py", "S = 'MERGE INTO a USING b ON true'"),
    (secrets_compared_in_constant_time, "apps/core/a.py", "ok = row.token == ''"),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_a_kept_rule_is_left_in_peace(rule, path, text):
    assert not list(rule(Source(path, text)))
