"""A server as its users see it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import commsproject
from commsproject.embedded.home import Engine, Home
from commsproject.embedded.system import EmbeddedError, exists, pause, try_lock, wait_until

_BACK_SECONDS = 120.0
# -I keeps the user's environment out of the keeper, and the project off its path: given here.
_KEEPER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "from commsproject.embedded.keeper import main; sys.exit(main(*sys.argv[1:]))"
)


class Server:
    """A server that runs while at least one process uses it.

    `directory` keeps its data. For tests, `durable=False` is faster and loses data with the power,
    though not by a `kill -9`.
    """

    def __init__(self, kind: type[Engine], directory: Path, *, durable: bool = True) -> None:
        self.home = Home(directory.absolute())
        self.name = kind.name
        self._durable = durable
        self._engine = kind(self.home, durable=durable)
        self._users: int | None = None
        self._owner = 0
        self._seen = 0

    @property
    def url(self) -> str:
        """Where the started server listens, with its password. It stays the same over restarts."""
        return self._engine.url()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Use the server: start it, or attach to the running one. Returns its URL.

        Raises EmbeddedError.
        """
        if self._users is None:
            try:
                self.home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                users = self.home.open_lock("users")
            except OSError as error:
                raise EmbeddedError(
                    f"{self.home.directory} cannot be used ({error.strerror}). Run as the user who"
                    " made it, or set COMMS_DATA_DIR to another directory."
                ) from error
            try:
                fcntl.flock(users, fcntl.LOCK_SH)  # waits here while the last user is stopping it
                self._attach()
            except BaseException:
                os.close(users)
                raise
            self._users, self._owner, self._seen = users, os.getpid(), self.home.state.pid
        return self.url

    def stop(self) -> None:
        """Use it no longer. For the last user, returns when the server is gone; its data stay.

        If this process is killed instead, the keeper does the same within half a second.
        """
        users, self._users = self._users, None
        if users is None:
            return
        try:
            # A fork shares its parent's lock: only who started it may end it.
            if self._owner == os.getpid() and try_lock(users):
                self._dismiss_keeper()
        finally:
            os.close(users)

    def check(self) -> str:
        """What happened to the server since the last call, in words, or nothing.

        Its keeper restarts it when it dies; this starts both again if the keeper was killed.
        """
        with self.home.lock_file("keeper") as lock:
            keeper_lives = not try_lock(lock)
        if not keeper_lives:
            self._attach()
        pid = self.home.state.pid
        if pid in (0, self._seen):
            return ""
        self._seen = pid
        return f"{self.name} had died and was started again"

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """For fault tests: kill -9 the server and keep it away until the end of the block."""
        before = self.home.state
        if not before.pid:
            raise EmbeddedError(f"{self.name} does not run.\n{self.home.last_lines()}")
        os.kill(before.keeper, signal.SIGSTOP)
        try:
            os.kill(before.pid, signal.SIGKILL)
            yield
        finally:
            os.kill(before.keeper, signal.SIGCONT)
            if not wait_until(lambda: self.home.state.pid not in (0, before.pid), _BACK_SECONDS):
                raise EmbeddedError(f"{self.name} did not come back.\n{self.home.last_lines()}")

    def kill(self) -> None:
        """For fault tests: kill -9 the server. Returns when its keeper has started it again."""
        with self.down():
            pass

    def _attach(self) -> None:
        with self.home.lock_file("keeper") as lock:
            while not try_lock(lock):  # somebody starts it, or has done so
                state = self.home.state
                if state.pid and exists(state.keeper):
                    return
                pause(0.02)
            self._start_keeper(lock)

    def _start_keeper(self, lock: int) -> None:
        self.home.remember(keeper=0, pid=0)
        root = Path(commsproject.__path__[0]).parent
        options = ["durable"] if self._durable else []
        arguments = [str(root), self.name, str(self.home.directory), str(lock), *options]
        read_end, write_end = os.pipe()
        with self.home.log.open("ab") as log:
            keeper = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-I", "-c", _KEEPER, *arguments],
                pass_fds=[lock],  # the lock becomes the keeper's, with no moment between
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=log,
                cwd="/",
                start_new_session=True,  # a terminal's Ctrl-C is for the users
            )
        os.close(write_end)
        for pid in [pid for pid, old in _keepers.items() if old.poll() is not None]:
            del _keepers[pid]
        _keepers[keeper.pid] = keeper
        with os.fdopen(read_end, "rb") as pipe:
            complaint = pipe.read().decode(errors="replace")  # ends when it is ready or gone
        if not self.home.state.pid:
            _reap(keeper.pid)
            reason = complaint or f"The keeper of {self.name} failed.\n{self.home.last_lines()}"
            raise EmbeddedError(reason)

    def _dismiss_keeper(self) -> None:
        keeper = self.home.state.keeper
        with self.home.lock_file("keeper") as lock:
            if not try_lock(lock):
                if keeper:  # else it is already on its way out
                    os.kill(keeper, signal.SIGTERM)
                if not wait_until(lambda: try_lock(lock), 15):
                    raise EmbeddedError(f"{self.name} does not stop.\n{self.home.last_lines()}")
            _reap(keeper)


_keepers: dict[int, subprocess.Popen[bytes]] = {}  # which this process has started


def _reap(pid: int) -> None:
    if keeper := _keepers.pop(pid, None):
        keeper.wait()
