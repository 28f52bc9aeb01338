"""The bench can be run: its world is made by today's models, its baseline starts, its figures are read as they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lgsp.dev.processes import ROOT


@pytest.fixture
def world(monkeypatch):
    from benchmarks.gateway import world

    for name, value in {"SYSTEMS": 6, "SERVICES": 3, "AGREEMENTS": 8, "PAIRS": 4}.items():
        monkeypatch.setattr(world, name, value)
    return world


def test_the_world_of_the_bench_is_made_by_todays_models(db, world):
    from apps.agreements.models import Agreement, Grant
    from apps.organizations.models import InformationSystem

    pairs = world.build("http://127.0.0.1:9/api", 40)
    assert len(pairs) == 4
    assert (Grant.objects.count(), Agreement.objects.count()) == (40, 32)
    assert Grant.objects.values("uuid").distinct().count() == 40
    assert Grant.objects.values("system_id").distinct().count() == InformationSystem.objects.count()


def test_the_baseline_starts_and_refuses_strangers(db):
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.gateway.baseline_settings",
        "BENCH_PROVIDER": "http://127.0.0.1:9/api",
    }
    script = (
        "import io; from benchmarks.gateway.baseline import application, TokenAuthentication\n"
        "TokenAuthentication.authenticate = lambda self, request: None\n"
        "answered = []\n"
        "environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/gw/x/v1/small/1', 'SERVER_NAME': 'x', 'SERVER_PORT': '80', 'wsgi.input': io.BytesIO(),\n"
        "           'wsgi.url_scheme': 'http', 'SCRIPT_NAME': '', 'QUERY_STRING': '', 'HTTP_HOST': 'localhost'}\n"
        "application(environ, lambda status, headers: answered.append(status))\n"
        "print(answered[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("401"), done.stderr


def test_figures_are_ratios_of_the_same_round(capsys):
    from benchmarks.gateway.rounds import report

    rounds = {"nginx": [(100.0, 1.0), (200.0, 1.0), (50.0, 1.0)], "gateway": [(20.0, 1.0), (20.0, 1.0), (20.0, 1.0)]}
    report({"1kb_c32": {**rounds, "drf": [(1.0, 1.0), (2.0, 1.0), (4.0, 1.0)]}, "1kb_c128": rounds, "20kb_c32": rounds}, 3, 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert lines == [
        "gateway_1kb_c32_vs_nginx_cpu 20.0", "gateway_1kb_c128_vs_nginx_cpu 20.0", "gateway_20kb_vs_nginx_cpu 20.0", "gateway_vs_drf_cpu 10.0",
    ]  # fmt: skip


def test_results_are_kept_with_the_machine_and_held_against_the_bars(tmp_path):
    from benchmarks.results import Results

    results = Results()
    for line in ("# PostgreSQL 18.4: fsync, synchronous_commit and full_page_writes on", "gateway_1kb_c128_vs_nginx_cpu 15.9",
                 "gateway_p99_added_ms_1000rps 3.0", "gateway_rss_mb_100k_grants 200", "durable_cpu_us_32 40.5", "not a figure 1"):  # fmt: skip
        results.take(line)
    results.save(tmp_path / "bench.json")
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["figures"] == {
        "gateway_1kb_c128_vs_nginx_cpu": 15.9, "gateway_p99_added_ms_1000rps": 3.0, "gateway_rss_mb_100k_grants": 200.0, "durable_cpu_us_32": 40.5,
    }  # fmt: skip
    assert kept["postgresql"] == "18.4"
    assert {"commit", "cpu", "disk_sync_ms"} <= kept.keys()
    assert "not a figure 1" in kept["said"]
    verdicts = [line.split("  ")[-1] for line in results.table()[1:4]]
    assert verdicts == ["BELOW THE BAR", "aim met", "ok"]


@pytest.mark.django_db(transaction=True)
def test_callers_of_the_durable_row_are_admitted_and_recorded(world):
    from apps.gateway.models import CallIntent, CallOutcome
    from benchmarks.gateway import durable_row, targets
    from tests.gateway.processes import database_url

    world.build("http://127.0.0.1:9/api", 0)
    found = durable_row.measure(targets.Database(database_url(), os.getpid()), [(3, 0, 1, True)], 0.2)
    assert found["per_second"] > 0
    assert CallIntent.objects.count() == CallOutcome.objects.filter(outcome="delivered").count() > 0


def test_everybody_finds_the_calls_about_the_person_in_the_log_of_the_bench(db, world):
    from apps.gateway.models import CallIntent, CallOutcome
    from benchmarks.gateway import subject

    world.build("http://127.0.0.1:9/api", 0)
    planted, months = subject._fill(400)
    assert CallIntent.objects.count() == CallOutcome.objects.exclude(subject=None).count() == 400 + planted
    subject._index()
    questions = subject._questions(months, planted)
    assert all(subject._ask(name, user, since, expected) < 60 for name, user, since, expected in questions)


def _askings(*queries: int, rows: int = 26) -> list[dict]:
    return [{"ms": 10.0 + turn, "queries": count, "rows": rows} for turn, count in enumerate(queries)]


def _lists(**changes) -> dict:
    """What was asked of a small and of a large database, every list with as many queries in both."""
    names = ("consumer: home", "operator: requests", "operator: requests, common words")
    return {name: (_askings(7, 7), _askings(7, 7)) for name in names} | changes


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("requests", _askings(7, 7), _askings(7, 8)),
        ("requests", _askings(9, 9), _askings(8, 8)),
        ("requests", _askings(9, 9, rows=17), _askings(18, 18)),
        ("requests, common words", _askings(7, 7), _askings(11, 11)),
    ],
    ids=["one more", "one less", "one more a row", "a search"],
)
def test_the_bench_of_lists_fails_where_a_list_costs_other_queries_among_many_rows(capsys, name, few, many):
    from benchmarks.lists import run

    assert run._report(_lists(**{f"operator: {name}": (few, many)}), "1m") == 1
    said = capsys.readouterr().out.splitlines()
    counts = (max(answer["queries"] for answer in side) for side in (few, many))
    assert [line for line in said if "FAILED" in line] == [
        "# FAILED: operator: {}: {} queries at 1k rows, {} at 1m".format(name, *counts)
    ]
    assert "list_1m_vs_1k_p95 1.00" in said, "the figures are told all the same"


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("requests", _askings(7, 7), _askings(7, 7)),
        ("requests", _askings(5, 5, rows=0), _askings(8, 8)),
        ("requests, common words", _askings(7, 7), _askings(8, 8)),
    ],
    ids=["as many", "no row there", "a word that is not rare"],
)
def test_the_bench_of_lists_bears_what_is_asked_once(capsys, name, few, many):
    from benchmarks.lists import run

    assert run._report(_lists(**{f"operator: {name}": (few, many)}), "1m") == 0
    assert "FAILED" not in capsys.readouterr().out


@pytest.mark.parametrize("code", [0, 1])
def test_a_part_that_failed_fails_the_bench(monkeypatch, code):
    from benchmarks import __main__ as bench
    from benchmarks.results import Results

    real = subprocess.Popen

    def part(command, **how):
        assert command[-1] == "benchmarks.lists.run"
        return real([sys.executable, "-c", f"print('list_1k_p95_ms 1.5'); raise SystemExit({code})"], **how)

    monkeypatch.setattr(sys, "argv", ["bench", "lists"])
    monkeypatch.setattr(Results, "save", lambda self: None)
    monkeypatch.setattr("benchmarks.gateway.machine.facts", dict)
    monkeypatch.setattr(bench.subprocess, "Popen", part)
    assert bench.main() == code


@pytest.mark.parametrize(
    "name", ["gateway.run", "gateway.latency", "gateway.memory", "gateway.subject", "catalogs.run", "lists.run"]
)
def test_every_part_can_be_imported(name):
    import importlib

    assert importlib.import_module(f"benchmarks.{name}")
