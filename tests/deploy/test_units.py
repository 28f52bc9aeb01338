"""systemd units and container files: what can be judged without starting them is judged."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lgsp.dev.processes import ROOT

UNITS = ROOT / "deploy" / "systemd"
HARDENED = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "CapabilityBoundingSet=",
    "User=lgsp",
)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="not covered: systemd units (no systemd-analyze on this machine)"
)
def test_systemd_finds_no_fault_in_the_units(tmp_path):
    """As they stand, but for the interpreter's path and the folders only an installed machine has."""
    for unit in UNITS.iterdir():
        text = re.sub(r"^ExecStart=\S+python ", f"ExecStart={sys.executable} ", unit.read_text(), flags=re.MULTILINE)
        text = re.sub(r"^WorkingDirectory=\S+", f"WorkingDirectory={ROOT}", text, flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name.replace("@.", "@8001.")) for unit in UNITS.iterdir()]
    shutil.copy(tmp_path / "lgsp-gateway@.service", tmp_path / "lgsp-gateway@8001.service")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(names)],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if "lgsp" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr
    (tmp_path / "lgsp-portal.service").write_text("[Service]\nExecStart=/nowhere\nNonsense=1\n")
    broken = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "lgsp-portal.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Nonsense" in broken.stderr, "the verifier verifies nothing here"


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_each_service_is_its_own_user_and_hardened(unit):
    text = unit.read_text()
    assert [line for line in HARDENED if line not in text.splitlines()] == []
    assert "EnvironmentFile=/etc/lgsp/environment" in text


def test_the_gateways_unit_waits_for_its_drain():
    from lgsp.gateway import DRAIN_SECONDS

    text = (UNITS / "lgsp-gateway@.service").read_text()
    lead = float(re.search(r"^Environment=LGSP_GATEWAY_DRAIN_LEAD=([0-9.]+)$", text, re.MULTILINE)[1])
    stop = float(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])
    assert 0 < lead < 10
    # What it stores and closes after its last call takes up to 15 s (`Runtime.stop`).
    assert stop > lead + DRAIN_SECONDS + 15


def test_a_stopped_container_waits_for_its_drain():
    """Without `stop_grace_period` an engine kills after 10 s."""
    from lgsp.gateway import DRAIN_SECONDS

    gateway = yaml.safe_load((ROOT / "deploy/container/compose.yaml").read_text())["services"]["gateway"]
    assert float(gateway["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS + 15


def _modules(text: str) -> set[str]:
    return set(re.findall(r"-m[\",\s]+([a-z_.]+)", text))


def test_every_process_of_production_is_started_everywhere():
    wanted = {"gunicorn", "lgsp.gateway", "celery"}
    units = "\n".join(unit.read_text() for unit in UNITS.glob("*.service"))
    compose = (ROOT / "deploy/container/compose.yaml").read_text() + (ROOT / "deploy/container/Containerfile").read_text()
    assert _modules(units) == wanted
    assert _modules(compose) == wanted


def test_the_container_files_hold_together():
    compose = yaml.safe_load((ROOT / "deploy/container/compose.yaml").read_text())
    services = compose["services"]
    assert {"database", "broker", "setup", "portal", "gateway", "worker", "beat"} == set(services)
    for name in ("portal", "gateway", "worker", "beat"):
        service = services[name]
        assert service["depends_on"]["setup"]["condition"] == "service_completed_successfully"
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(port.startswith("127.0.0.1:") for s in services.values() for port in s.get("ports", []))
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "deploy/container/Containerfile").read_text(), re.MULTILINE)
    assert copied
    assert [path for line in copied for path in line.split() if not (ROOT / path).exists()] == []


NOT_FOR_OPERATORS = {
    "DEBUG", "DJANGO_SETTINGS_MODULE", "LGSP_HANG_AT", "LGSP_KILL_AT", "LGSP_READY_FILE", "LGSP_SANDBOX_KEY", "LGSP_SANDBOX_SECRET",
    "LGSP_SANDBOX_URL", "LGSP_TEST_DATABASE",
}  # fmt: skip
"""Of development, the demonstration and tests."""


def test_every_setting_is_in_the_operators_book():
    read = {
        name for path in (ROOT / "lgsp").glob("*.py") for name in re.findall(r'env(?:\.\w+)?\(\s*"([A-Z_]+)"', path.read_text())
    }  # fmt: skip
    assert len(read) > 20
    book = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in read - NOT_FOR_OPERATORS if f"`{name}" not in book} == set()
