"""Runs several programs as one: `make run`, without a process manager to install.

One thread and one event loop, so that children are forked where that is safe, and die with us.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TextIO

from commsproject.embedded.system import die_with_parent

_COLOURS = (36, 33, 35, 32, 34)  # of a terminal: cyan, yellow, magenta, green, blue
_LONGEST_LINE = 2**20


@dataclasses.dataclass(frozen=True)
class Service:
    """A program to keep running, in its own process group."""

    name: str
    command: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long things may take, in seconds."""

    stop: float = 6.5
    first_restart: float = 0.5
    last_restart: float = 30.0
    healthy: float = 30.0


class Console:
    """Writes whole lines with the name of who says them; in colour on a terminal.

    `lost` is set when the terminal or the reader has gone.
    """

    def __init__(self, names: Sequence[str], stream: TextIO = sys.stdout) -> None:
        self.lost = False
        self._stream = stream
        self._width = max(map(len, names), default=0)
        coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self._colours = dict(zip(names, _COLOURS * len(names), strict=False)) if coloured else {}

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{self._width}} |"
        if colour := self._colours.get(name):
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        try:
            self._stream.write(f"{prefix} {text}\n")
            self._stream.flush()
        except OSError as error:
            self.lost = error.errno in {errno.EPIPE, errno.EIO}


class Child:
    """One service: started, listened to, started again when it ends."""

    def __init__(self, service: Service, say: Callable[[str, str], None], pace: Pace) -> None:
        self.name = service.name
        self._command = service.command
        self._say = say
        self._pace = pace
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = asyncio.Event()

    async def keep(self, stopping: asyncio.Event) -> None:
        """Run it until `stopping` is set, and then until it has ended."""
        loop, delay = asyncio.get_running_loop(), self._pace.first_restart
        while not stopping.is_set():
            began = loop.time()
            outcome = await self._run()
            if stopping.is_set():
                return
            if loop.time() - began >= self._pace.healthy:
                delay = self._pace.first_restart
            self._say(self.name, f"{outcome}; starting it again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), delay)
            delay = min(delay * 2, self._pace.last_restart)

    async def _run(self) -> str:
        self._ended.clear()
        try:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - not waited for; the caller's words
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                process_group=0,  # a terminal's Ctrl-C is for the supervisor alone
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        except OSError as error:
            return f"could not start ({error})"
        self._process = process
        listening = asyncio.create_task(self._listen(process))
        await self._ended.wait()
        self.signal(signal.SIGKILL)  # what it left behind in its group
        await asyncio.wait([listening], timeout=1)  # one that left the group may hold the pipe
        listening.cancel()
        self._process = None
        code = process.returncode
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def _listen(self, process: subprocess.Popen[bytes]) -> None:
        lines = asyncio.StreamReader(limit=_LONGEST_LINE)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), process.stdout
        )
        with contextlib.closing(transport):
            while True:
                try:
                    line = await lines.readline()
                except ValueError:
                    line = b"(a line of more than 1 MiB)\n"
                if not line:
                    return
                self._say(self.name, line.decode(errors="replace").rstrip())

    def look(self) -> None:
        """See whether the process has ended."""
        if self._process and self._process.poll() is not None:
            self._ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


class Supervisor:
    """Keeps services running until SIGTERM, SIGINT or SIGHUP, then stops them in reverse order.

    Output that cannot be written is a hang-up too: `make` does not pass the signal on.
    What ignores SIGTERM is killed after `pace.stop` seconds, or at once by a second Ctrl-C.
    `jobs` run beside the services and are cancelled with them.
    """

    def __init__(
        self,
        services: Sequence[Service],
        console: Console,
        *,
        jobs: Sequence[Callable[[], Coroutine[None, None, None]]] = (),
        pace: Pace | None = None,
    ) -> None:
        self._console = console
        self._jobs = jobs
        self._pace = pace or Pace()
        self._children = [Child(one, self._say, self._pace) for one in services]
        self._stopping = asyncio.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        stopping = self._stopping
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        jobs = [asyncio.create_task(job()) for job in self._jobs]
        keeping = [asyncio.create_task(child.keep(stopping)) for child in self._children]
        for task in (*jobs, *keeping):
            task.add_done_callback(lambda task: stopping.set() if _failed(task) else None)
        await stopping.wait()
        for job in jobs:
            job.cancel()
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait(keeping, timeout=self._pace.stop)
        if late:
            self._signal(signal.SIGKILL)
        await asyncio.gather(*keeping, *(job for job in jobs if _failed(job)))

    def _say(self, name: str, text: str) -> None:
        self._console.line(name, text)
        if self._console.lost:
            self._stopping.set()

    def _interrupt(self) -> None:
        if self._stopping.is_set():
            self._signal(signal.SIGKILL)
        self._stopping.set()

    def _look(self) -> None:
        for child in self._children:
            child.look()

    def _signal(self, number: signal.Signals) -> None:
        for child in reversed(self._children):
            child.signal(number)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


async def http_status(host: str, port: int, path: str) -> int:
    """The status of a GET, or 0 where nobody answers within 2 seconds."""
    request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n"
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(request.encode())
                return int((await reader.readline()).split()[1])
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0
