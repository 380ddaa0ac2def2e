"""Where messages end: servers that are faster than anything that is measured with them."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from http.client import HTTPConnection
from pathlib import Path

from typing_extensions import override

from tests.performance.world import Child, Failed, World, free_port

HERE = Path(__file__).parent


class Sink:
    """A place where messages end, and the settings that point a provider at it.

    This one is that of the provider that calls nobody.
    """

    env: Mapping[str, str] = {"BENCH_NULL": "1"}
    child: Child | None = None

    @property
    def children(self) -> Sequence[Child]:
        return [self.child] if self.child else []

    def messages(self) -> int | None:
        """How many it has taken; None where nobody counts."""
        return None


class HttpSink(Sink):
    """Takes every request; answers with 202 after a set delay."""

    def __init__(self, world: World, delay_ms: int) -> None:
        pipe = subprocess.PIPE
        self.child = Child(
            f"http-sink-{delay_ms}",
            [*_http_sink(world.directory), str(delay_ms)],
            world.environment(),
            world.logs,
            stdin=pipe,
            stdout=pipe,
        )
        assert self.child.popen.stdout is not None
        self.port = int(self.child.popen.stdout.readline() or 0)
        if not self.port:
            raise Failed("The HTTP sink does not start.")
        self.env = {
            "SENDGRID_API_KEY": "SG.bench",
            "SENDGRID_API_URL": f"http://127.0.0.1:{self.port}/v3/",
        }

    @override
    def messages(self) -> int:
        return int(self._get("/counts").split()[1])

    def probes(self) -> dict[int, float]:
        """When the message to each `probe-<number>@` came first, in seconds of the monotonic clock."""
        found: dict[int, float] = {}
        for line in self._get("/probes").splitlines():
            number, at = line.split()
            found.setdefault(int(number), int(at) / 1e9)
        return found

    def _get(self, path: str) -> str:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()


class SmtpSink(Sink):
    """Postfix's `smtp-sink`, which answers at once and throws every mail away."""

    def __init__(self, world: World) -> None:
        program = smtp_sink(world.directory)
        if not program:
            raise Failed("There is no smtp-sink.")
        self.port = free_port()
        self.env = {"SMTP_URL": f"smtp://127.0.0.1:{self.port}"}
        self._counts = world.logs / "smtp-sink.counts"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [str(program), *user, "-c", f"127.0.0.1:{self.port}", "1000"]
        with self._counts.open("wb") as counts:
            self.child = Child("smtp-sink", command, _with(program), world.logs, stdout=counts)
        world.wait(lambda: listens(self.port), 5, [self.child])

    @override
    def messages(self) -> int:
        """It writes `sess=1 quit=0 mesg=42` and a carriage return for every mail."""
        with self._counts.open("rb") as counts:
            counts.seek(max(0, self._counts.stat().st_size - 500))
            lines = [line for line in counts.read().split(b"\r") if b"mesg=" in line]
        return int(lines[-1].rpartition(b"=")[2]) if lines else 0


_KINDS: Mapping[str, Callable[[World], Sink]] = {
    "http": lambda world: HttpSink(world, 0),
    "http50": lambda world: HttpSink(world, 50),
    "smtp": SmtpSink,
    "none": lambda _world: Sink(),
}


@contextlib.contextmanager
def of_kind(world: World, kind: str) -> Iterator[Sink]:
    """A running sink: `http`, `http50` (answers after 50 ms), `smtp` or `none`."""
    sink = _KINDS[kind](world)
    try:
        yield sink
        for child in sink.children:
            child.check()
    finally:
        for child in sink.children:
            child.stop()


@cache
def _http_sink(directory: Path) -> list[str]:
    """The command of the C sink, compiled here; of the one in Python where nothing compiles it."""
    source, program = HERE / "http_sink.c", directory / "http_sink"
    compiler = shutil.which("cc")
    if compiler and platform.system() == "Linux":
        command = [compiler, "-O2", "-o", str(program), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return [str(program)]
        sys.stderr.write(done.stderr)
    sys.stderr.write(
        "No C compiler for Linux here: a sink in Python, which limits what it measures.\n"
    )
    return [sys.executable, "-m", "tests.performance.plain_sink"]


def description(directory: Path) -> str:
    compiled = _http_sink(directory)[0] != sys.executable
    return "http_sink.c" if compiled else "plain_sink.py, which is slower than it should be"


@cache
def smtp_sink(directory: Path) -> Path | None:
    """The program: the system's own, or unpacked from Debian's package without installing it."""
    if found := shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return Path(found)
    home = directory / "postfix"
    program = home / "usr" / "sbin" / "smtp-sink"
    if not program.exists() and not _unpack("postfix", home):
        return None
    tried = subprocess.run([program, "-?"], env=_with(program), capture_output=True, text=True)
    if "usage" in tried.stderr:
        return program
    sys.stderr.write(f"smtp-sink does not run here: {tried.stderr.strip()}\n")
    return None


def _unpack(package: str, home: Path) -> bool:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        sys.stderr.write(f"No {package} here, and no apt-get to fetch it with.\n")
        return False
    home.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", package], cwd=home, capture_output=True)
    for file in home.glob(f"{package}_*.deb"):
        unpacked = subprocess.run(["dpkg", "-x", str(file), str(home)], capture_output=True)
        return unpacked.returncode == 0
    sys.stderr.write(f"apt-get download {package}: {fetched.stderr.decode().strip()}\n")
    return False


def _with(program: Path) -> dict[str, str]:
    """The environment in which an unpacked program finds its libraries."""
    libraries = program.parents[1] / "lib" / "postfix"
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries)}


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
