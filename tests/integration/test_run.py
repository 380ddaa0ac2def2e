"""`manage.py run`, which is `make run`: everything from nothing, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.faults.world import PATIENCE, TLS
from tests.processes import ROOT, eventually, free_port


def env(data: Path, port: int) -> dict[str, str]:
    unset = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    loopback = {"WEBHOOK_NETWORKS": "127.0.0.0/8"}  # where `smoke` listens
    return {**inherited, **loopback, "COMMS_DATA_DIR": str(data), "PORT": str(port)}


@contextlib.contextmanager
def service(data: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=env(data, port),
            stdout=output,
            stderr=output,
        )
        try:
            eventually(lambda: ready(port), PATIENCE)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)  # the promise: ten seconds for everything


def ready(port: int) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        url = f"http://127.0.0.1:{port}/health"
        return httpx2.get(url, trust_env=False, verify=TLS).json() is not None
    return False


def smoke(data: Path, port: int, key: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "smoke", f"http://127.0.0.1:{port}"]
    return subprocess.run(
        [*command, "--api-key", key, *more],
        cwd=ROOT,
        env=env(data, port),
        capture_output=True,
        text=True,
        check=False,
    )


def inhabitants(data: Path) -> list[str]:
    """The command lines of processes that know the data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if str(data).encode() in environment:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.timeout(480)  # seven processes, on a machine that others use too
def test_one_command_runs_everything_and_stops_everything(tmp_path: Path) -> None:
    data, port, log = tmp_path / "data", free_port(), tmp_path / "log"
    with service(data, port, log):
        made = subprocess.run(
            [sys.executable, "manage.py", "create_api_key", "tester"],
            cwd=ROOT,
            env=env(data, port),
            capture_output=True,
            text=True,
            check=True,
        )
        key = made.stdout.splitlines()[-1]
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        ) as client:
            body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "t"}}
            sent = client.post("/api/v1/notifications", json=body).json()["id"]
            where = f"/api/v1/notifications/{sent}"
            eventually(lambda: client.get(where).json()["status"] == "delivered", 20)
            assert "Communication service" in client.get("/").text
            assert client.get("/admin/login/").status_code == 200
        smoked = smoke(data, port, key)
        assert (smoked.returncode, smoked.stdout.splitlines()[-1]) == (0, "It works."), smoked
        refused = smoke(data, port, "comm_live_no_key", "--seconds", "1")
        assert refused.returncode == 1
        assert "FAILED   key: GET /api/v1/whoami answers 401" in refused.stdout
        assert key not in smoked.stdout + refused.stdout + refused.stderr
    time.sleep(0.2)
    assert inhabitants(data) == []
    written = log.read_text()
    assert "Staff pages" in written
    assert "Sign in as           admin, password" in written
    assert "ada@simulator.test" not in written

    with service(data, port, log):  # again, on the same data
        found = httpx2.get(
            f"http://127.0.0.1:{port}{where}",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        )
        assert found.json()["status"] == "delivered"
