from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from typing_extensions import override

from commsproject.common.supervisor import Console, http_status
from commsproject.embedded.system import exists, wait_until

ROOT = Path(__file__).parents[3]


def python(code):
    """A service's command that runs this Python."""
    return [sys.executable, "-ISuc", "import os, signal, sys, time\n" + textwrap.dedent(code)]


class Supervised:
    """A supervisor in a process of its own, with its output as it comes."""

    def __init__(self, services, *, pace="Pace()", jobs="()"):
        program = f"""
            import asyncio, sys
            sys.path.insert(0, {str(ROOT)!r})
            from commsproject.common.supervisor import *
            services = [Service(*one) for one in {list(services.items())!r}]
            async def failing():
                raise ValueError("a job that fails")
            console = Console([service.name for service in services])
            Supervisor(services, console, pace={pace}, jobs={jobs}).run()
            print("returned")
        """
        self.process = subprocess.Popen(
            [sys.executable, "-Iuc", textwrap.dedent(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout
        self.pipe = self.process.stdout
        self.output = ""
        os.set_blocking(self.pipe.fileno(), False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.pipe.close()

    def read(self):
        while chunk := self.pipe.read():
            self.output += chunk.decode()
        return self.output

    def wait_for(self, text, seconds=15):
        assert wait_until(lambda: text in self.read(), seconds), self.output

    def ends(self, seconds=15):
        """The seconds it took, at most so many."""
        began = time.monotonic()
        self.process.wait(seconds)
        self.read()
        return time.monotonic() - began

    def pids(self, name):
        """Those that the service `name` has printed."""
        words = [line.split() for line in self.read().splitlines()]
        return [int(line[-1]) for line in words if line[:3] == [name, "|", "pid"]]


PATIENT = 'print("pid", os.getpid()); time.sleep(60)'
STUBBORN = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {PATIENT}"


def test_every_line_is_whole_and_says_whose_it_is():
    parts = (
        'for n in range(200): sys.stdout.write("a" * 50); sys.stdout.write("b\\n")\ntime.sleep(60)'
    )
    with Supervised({"one": python(parts), "longer": python(parts)}) as supervised:
        wait_until(lambda: supervised.read().count("\n") >= 400, 15)
        supervised.process.terminate()
        supervised.ends()
    whole = "a" * 50 + "b"
    lines = [line for line in supervised.output.splitlines() if "aa" in line]
    assert len(lines) == 400
    assert set(lines) == {f"one    | {whole}", f"longer | {whole}"}


def test_a_line_beyond_all_bounds_does_not_stop_the_listening():
    service = python('print("x" * 3_000_000); print("after"); time.sleep(60)')
    with Supervised({"wordy": service}) as supervised:
        supervised.wait_for("wordy | after")
        assert "wordy | (a line of more than 1 MiB)" in supervised.output


def test_what_dies_is_started_again_later_each_time():
    with Supervised(
        {"frail": python('print("pid", os.getpid()); sys.exit(3)'), "sound": python(PATIENT)},
        pace="Pace(first_restart=0.1, last_restart=0.3)",
    ) as supervised:
        supervised.wait_for("frail | ended with code 3; starting it again in 0.1 s")
        supervised.wait_for("frail | ended with code 3; starting it again in 0.2 s")
        supervised.wait_for("frail | ended with code 3; starting it again in 0.3 s")
        assert len(set(supervised.pids("frail"))) >= 3
        assert len(supervised.pids("sound")) == 1


def test_health_resets_the_delay():
    pace = "Pace(first_restart=0.1, healthy=0.2)"
    with Supervised({"frail": python("time.sleep(0.4)")}, pace=pace) as supervised:
        wait_until(lambda: supervised.read().count("ended with code 0") >= 2, 15)
        assert "again in 0.2 s" not in supervised.output


def test_a_program_that_cannot_start_is_tried_again():
    with Supervised({"ghost": ["/nowhere/at-all"]}) as supervised:
        supervised.wait_for("could not start ([Errno 2] No such file or directory")
        supervised.process.terminate()
        assert supervised.ends() < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_every_child_in_reverse_order(number):
    last_words = """
        def bye(*_):
            time.sleep({delay})
            print("bye")
            sys.exit()
        signal.signal(signal.SIGTERM, bye)
        print("pid", os.getpid())
        time.sleep(60)
    """
    services = {"first": last_words.format(delay=0.3), "second": last_words.format(delay=0)}
    services = {name: python(code) for name, code in services.items()}
    with Supervised(services) as supervised:
        wait_until(lambda: supervised.pids("first") and supervised.pids("second"), 15)
        supervised.process.send_signal(number)
        assert supervised.ends() < 5
        lines = supervised.output.splitlines()
        assert lines.index("second | bye") < lines.index("first  | bye")
        assert lines[-1] == "returned"
        assert supervised.process.returncode == 0


def test_a_child_that_ignores_sigterm_is_killed_in_time():
    with Supervised({"stubborn": python(STUBBORN)}, pace="Pace(stop=0.5)") as supervised:
        wait_until(lambda: supervised.pids("stubborn"), 15)
        supervised.process.terminate()
        assert 0.4 < supervised.ends() < 5
        assert not exists(supervised.pids("stubborn")[0])


def test_a_second_interrupt_kills_at_once():
    with Supervised({"stubborn": python(STUBBORN)}, pace="Pace(stop=30)") as supervised:
        wait_until(lambda: supervised.pids("stubborn"), 15)
        supervised.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            supervised.ends(0.5)
        supervised.process.send_signal(signal.SIGINT)
        assert supervised.ends() < 5


def test_what_a_dead_child_left_behind_is_killed():
    service = python(
        """
        print("pid", os.getpid(), flush=True)
        if os.fork():
            time.sleep(0.5)
            sys.exit(1)
        print("pid", os.getpid(), flush=True)
        time.sleep(60)
        """
    )
    with Supervised({"parent": service}, pace="Pace(first_restart=30)") as supervised:
        supervised.wait_for("ended with code 1")
        assert len(supervised.pids("parent")) == 2
        assert wait_until(lambda: not any(map(alive, supervised.pids("parent"))), 5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_children_die_with_a_killed_supervisor():
    with Supervised({"a": python(PATIENT), "b": python(STUBBORN)}) as supervised:
        wait_until(lambda: supervised.pids("a") and supervised.pids("b"), 15)
        supervised.process.kill()
        pids = supervised.pids("a") + supervised.pids("b")
        assert wait_until(lambda: not any(map(alive, pids)), 5)


def test_a_failing_job_stops_everything_and_is_told():
    with Supervised({"a": python(PATIENT)}, jobs="[failing]") as supervised:
        supervised.ends()
        assert "ValueError: a job that fails" in supervised.output
        assert supervised.process.returncode == 1
        assert not any(map(alive, supervised.pids("a")))


def alive(pid):
    """Not counting zombies: who collects the children of a killed process is not our affair."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Terminal(io.StringIO):
    @override
    def isatty(self):
        return True


def a_terminal():
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    return stream


def test_names_are_coloured_on_a_terminal_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, file = a_terminal(), io.StringIO()
    for stream in (terminal, file):
        Console(["web", "urgent"], stream).line("web", "up")
    assert terminal.getvalue() == "\x1b[36mweb    |\x1b[0m up\n"
    assert file.getvalue() == "web    | up\n"


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = a_terminal()
    Console(["web"], terminal).line("web", "up")
    assert terminal.getvalue() == "web | up\n"


def test_a_reader_that_went_away_is_a_hang_up():
    chatty = python('print("pid", os.getpid())\nwhile True: print("x"); time.sleep(0.1)')
    with Supervised({"chatty": chatty}) as supervised:
        wait_until(lambda: supervised.pids("chatty"), 15)
        pids = supervised.pids("chatty")
        supervised.pipe.close()
        supervised.process.wait(10)
        assert not any(map(alive, pids))


def full_disk(_text):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_no_hang_up():
    stream = io.StringIO()
    stream.write = full_disk  # type: ignore[method-assign]
    console = Console(["web"], stream)
    console.line("web", "up")
    assert not console.lost


@pytest.mark.parametrize(
    ("answer", "status"), [(b"HTTP/1.1 503 No\r\n\r\n", 503), (b"", 0), (b"what\r\n", 0)]
)
def test_http_status(answer, status):
    async def ask():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            found = await http_status("127.0.0.1", port, "/health/ready")
        return found, await http_status("127.0.0.1", port, "/health/ready")

    assert asyncio.run(ask()) == (status, 0)
