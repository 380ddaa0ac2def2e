"""SIGTERM at the worst moment."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

_STORY = """
import os, signal, threading
from commsproject.common.commands import heed_stops

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever these tests were started with
stopping = threading.Event()
heed_stops(stopping)
with stopping._cond:  # as the main thread is for a moment in `stopping.wait()`
    os.kill(os.getpid(), signal.{name})
    for _ in range(1000):
        pass
assert stopping.wait(30)
print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_stop_comes_while_the_main_thread_begins_to_wait_for_it(name: str) -> None:
    """A handler that set the event would wait for the lock that it has interrupted."""
    story = dedent(_STORY).format(name=name)
    done = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_stop_that_does_not_wake_the_main_thread(name: str) -> None:
    """As one that comes while it falls asleep, or that another thread gets."""
    story = f"""
import signal, threading, time
from commsproject.common.commands import heed_stops

signal.signal(signal.SIGHUP, signal.SIG_DFL)
stopping = threading.Event()
heed_stops(stopping)

def other():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.{name})
    time.sleep(10)

threading.Thread(target=other, daemon=True).start()
assert stopping.wait(5)
"""
    done = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_who_was_started_to_outlive_the_terminal_does():
    story = """
import signal, threading
from commsproject.common.commands import heed_stops

signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
stopping = threading.Event()
heed_stops(stopping)
signal.raise_signal(signal.SIGHUP)
assert not stopping.wait(1)
signal.raise_signal(signal.SIGTERM)
assert stopping.wait(30)
"""
    done = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
