"""The directory of one server, and what a kind of server must be able to do with it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol


@dataclasses.dataclass(frozen=True)
class State:
    """What `server.json` remembers. `pid` is 0 while the server cannot be used."""

    port: int = 0
    password: str = ""
    keeper: int = 0
    pid: int = 0


class Home:
    """Where a server keeps `data`, `log`, `server.json` and its locks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"

    @property
    def state(self) -> State:
        try:
            return State(**json.loads((self.directory / "server.json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return State()

    def remember(self, **changes: Any) -> None:
        """Change `server.json`. It holds the password: only its owner may read it."""
        state = dataclasses.replace(self.state, **changes)
        descriptor, path = tempfile.mkstemp(dir=self.directory, prefix=".server-")  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            json.dump(dataclasses.asdict(state), file)
        Path(path).rename(self.directory / "server.json")

    def open_lock(self, name: str) -> int:
        """A descriptor of `<name>.lock`, not locked yet. Closing it unlocks."""
        return os.open(self.directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)

    @contextlib.contextmanager
    def lock_file(self, name: str) -> Iterator[int]:
        """`open_lock`, closed after the block."""
        descriptor = self.open_lock(name)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def last_lines(self, count: int = 12) -> str:
        """The end of the log, introduced by its path."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines[-count:]])


class Engine(Protocol):
    """A kind of server, in its home. All but `url` are for the keeper."""

    name: ClassVar[str]
    variable: ClassVar[str]
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]

    def __init__(self, home: Home, *, durable: bool) -> None: ...

    def url(self) -> str:
        """Where it listens, with its password."""

    def prepare(self) -> None:
        """Make or mend the data. Called once, before the first `spawn`. Raises EmbeddedError."""

    def spawn(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the server as a child that inherits the descriptor `lock`."""

    def is_ready(self, pid: int) -> bool:
        """Whether the server, started as process `pid`, answers."""
