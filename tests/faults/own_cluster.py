"""A PostgreSQL of the test's own, with our tables and a world in it; the session's server is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lgsp.dev.postgres import Cluster
from tests.gateway.processes import ROOT

TOKEN = "t" * 43
"""The world's account has this access token."""
_WORLD = """
import django, json, sys; django.setup()
import hashlib
from datetime import timedelta
from django.utils import timezone
from apps.gateway.models import AccessToken
from tests.gateway.world import make_world
w, now = make_world(sys.argv[1]), timezone.now()
digest = hashlib.sha256(sys.argv[2].encode()).digest()
AccessToken.objects.create(token_hash=digest, credential=w.credential, issued_at=now, expires_at=now + timedelta(hours=1))
print(json.dumps({"path": w.path, "purpose": w.purpose.code, "grant": w.grant.pk}))
"""


@contextmanager
def own_cluster(folder: Path) -> Iterator[Cluster]:
    """A durable server in `folder` with an empty database at `url`; stopped at the end."""
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    cluster = Cluster(folder / "pg", durable=True)
    cluster.url = cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def environment(url: str) -> dict[str, str]:
    """For a process of ours that works in the database at `url`."""
    env = {**os.environ, "DATABASE_URL": url, "LGSP_ENV": "test", "DJANGO_SETTINGS_MODULE": "lgsp.settings"}
    env.pop("LGSP_TEST_DATABASE", None)
    return env


def make_facts(url: str, provider_url: str) -> dict:
    """Tables and a world in the empty database at `url`, made by processes of their own: path, purpose, grant."""
    env = environment(url)
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    made = [sys.executable, "-c", _WORLD, f"{provider_url}/api", TOKEN]
    done = subprocess.run(made, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
