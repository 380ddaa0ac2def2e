"""The probe of a process: alive while its work goes round, not while it is stuck or was never there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from django.core.management import CommandError

from commsproject.common import commands, heartbeat
from tests.processes import ROOT, Process, eventually, free_port, running


def probe(**env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "commsproject.common.heartbeat"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_what_the_probe_says(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    for env, said in (
        ({}, "HEARTBEAT_FILE is not set."),
        ({"HEARTBEAT_FILE": str(file)}, "There is no heartbeat yet (FileNotFoundError)."),
    ):
        answer = probe(**env)
        assert (answer.returncode, answer.stderr.strip()) == (1, said)
    file.touch()
    assert probe(HEARTBEAT_FILE=str(file)).returncode == 0
    long_ago = time.time() - heartbeat.SILENT_FOR - 60
    os.utime(file, (long_ago, long_ago))
    answer = probe(HEARTBEAT_FILE=str(file))
    assert answer.returncode == 1
    assert answer.stderr.startswith("No heartbeat for 18")


def test_it_loads_no_django() -> None:
    code = "import sys, commsproject.common.heartbeat; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_disk_that_cannot_be_written_to_does_not_stop_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_FILE", str(tmp_path / "nowhere" / "beat"))
    heartbeat.beat()
    assert not (tmp_path / "nowhere").exists()


def test_a_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for port in ("80a", "", "0", "65536", "-1", "80.0"):
        monkeypatch.setenv("PORT", port)
        with pytest.raises(CommandError, match="a number from 1 to 65535"):
            commands.listen_on()


def _beats_or_ended(file: Path, process: Process) -> bool:
    return file.exists() or not process.runs


def _is_touched(file: Path) -> bool:
    return file.stat().st_mtime > 0


@pytest.mark.django_db(transaction=True)
def test_each_process_beats_while_it_works_and_ends_well(tmp_path: Path) -> None:
    started = {}
    with contextlib.ExitStack() as stack:
        for command in (("web",), ("worker", "--lane", "urgent"), ("scheduler",)):
            file, log = tmp_path / command[0], tmp_path / f"{command[0]}.log"
            env = {"HEARTBEAT_FILE": str(file), "PORT": str(free_port())}
            started[file] = stack.enter_context(running(*command, log=log, **env)), log
        for file, (process, log) in started.items():
            eventually(partial(_beats_or_ended, file, process))
            assert process.runs, log.read_text()
            os.utime(file, (0, 0))
        for file, (process, log) in started.items():
            eventually(partial(_is_touched, file))
            assert process.stop() == 0, log.read_text()
