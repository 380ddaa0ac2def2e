"""The keeper: a process that runs one server for as long as the server has users."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

from commsproject.embedded.home import Engine, Home
from commsproject.embedded.postgres import Postgres
from commsproject.embedded.system import (
    EmbeddedError,
    inhabitants,
    new_port,
    port_is_free,
    try_lock,
    wait_until,
)
from commsproject.embedded.valkey import Valkey

_KINDS: dict[str, type[Engine]] = {kind.name: kind for kind in (Postgres, Valkey)}
_START_SECONDS = 120.0  # recovery after a crash may have much to replay
_LAST_DELAY_SECONDS = 30.0
_HEALTHY_SECONDS = 30.0
_ORPHAN_SECONDS = 8.0  # PostgreSQL gives its backends 5 when its keeper dies
_LOG_BYTES = 10_000_000


class Keeper:
    """Owns the server process, its only child."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._server: subprocess.Popen[bytes] | None = None
        self._told_to_stop = False
        self._started_at = self._again_at = self._delay = 0.0
        self._wakeups, self._waker = socket.socketpair()
        for end in (self._wakeups, self._waker):
            end.setblocking(False)

    def run(self) -> None:
        """Returns when the server has no users, and has stopped. Raises EmbeddedError."""
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        with self._home.lock_file("server") as lock, self._home.lock_file("users") as users:
            try:
                self._take_over(lock)
                self._engine.prepare()
                self._start_on_a_free_port(lock)
                _close_output()
                while not self._told_to_stop and not try_lock(users):
                    self._watch(lock)
            finally:
                self._home.remember(pid=0)
                self._stop()
                self._home.remember(keeper=0)

    def _take_over(self, lock: int) -> None:
        """Wait for the end of a server whose keeper was killed."""
        if wait_until(lambda: try_lock(lock), _ORPHAN_SECONDS):
            return
        self._evict()
        if not wait_until(lambda: try_lock(lock), _ORPHAN_SECONDS):
            raise EmbeddedError(
                f"A {self._engine.name} whose keeper was killed still runs on {self._home.data}."
                " Stop it, then try again."
            )

    def _evict(self) -> None:
        """Kill what a dead server left: a busy backend of PostgreSQL notices only when it waits."""
        for pid in inhabitants(self._home.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _stop_asked(self, *_: object) -> None:
        self._told_to_stop = True

    def _start_on_a_free_port(self, lock: int) -> None:
        """On the port of last time, or on another where that one is taken."""
        for chances_left in (2, 1, 0):
            port = self._home.state.port
            if not port or not port_is_free(port):
                self._home.remember(port=new_port())
            try:
                self._start(lock)
            except EmbeddedError:
                if not chances_left or port_is_free(self._home.state.port):
                    raise
            else:
                return

    def _start(self, lock: int) -> None:
        self._started_at = time.monotonic()
        self._server = server = self._engine.spawn(lock)

        def settled() -> bool:
            ended = server.poll() is not None
            return ended or self._told_to_stop or self._engine.is_ready(server.pid)

        if not wait_until(settled, _START_SECONDS) or server.poll() is not None:
            self._stop()
            name, lines = self._engine.name, self._home.last_lines()
            raise EmbeddedError(f"{name} does not start on {self._home.data}.\n{lines}")
        self._home.remember(keeper=os.getpid(), pid=server.pid)

    def _watch(self, lock: int) -> None:
        """Wait a little. Start the server again if it has died, later each time."""
        self._sleep(0.2)
        if self._server and self._server.poll() is not None:
            self._home.remember(pid=0)
            sys.stderr.write(f"{self._engine.name} ended with {self._server.returncode}\n")
            self._server = None
            self._evict()
            self._put_off()
        if not self._server and time.monotonic() >= self._again_at:
            try:
                self._start(lock)
            except EmbeddedError:
                self._put_off()

    def _put_off(self) -> None:
        now = time.monotonic()
        if now - self._started_at >= _HEALTHY_SECONDS:
            self._delay = 0.0
        self._again_at = now + self._delay
        self._delay = min(_LAST_DELAY_SECONDS, self._delay * 2 or 0.5)

    def _sleep(self, seconds: float) -> None:
        """Until a child ends, a signal comes, or the time is over."""
        select.select([self._wakeups], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            self._wakeups.recv(4096)

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server:
            for number, patience in (*self._engine.stop_signals, (signal.SIGKILL, 5.0)):
                server.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(patience)
                    break
            self._evict()


def _close_output() -> None:
    """Tells who waits at the other end of our output that the server is ready."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def main(name: str, directory: str, lock: str, *options: str) -> int:
    """Run the keeper of a server. `lock` is the inherited descriptor of the locked `keeper.lock`.

    What it prints before it closes its output is why the server cannot run.
    """
    os.set_inheritable(int(lock), False)
    os.umask(0o077)
    home = Home(Path(directory))
    if home.log.stat().st_size > _LOG_BYTES:
        home.log.rename(home.log.with_name("log.old"))
    try:
        Keeper(_KINDS[name](home, durable="durable" in options), home).run()
    except (EmbeddedError, OSError) as error:
        traceback.print_exc()
        sys.stdout.write(str(error))
        return 1
    return 0
