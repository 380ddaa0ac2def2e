"""Where a process spends its time, by py-spy."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.performance.world import Child

RATE = 200
"""Samples a second."""


class Profiler:
    """Writes `<directory>/<name>.folded` (for flame graphs), and the hot functions beside it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def watching(self, child: Child, name: str) -> Iterator[None]:
        """Samples of the thread of `child` that holds the interpreter, while the block runs."""
        folded = self._directory / f"{name}.folded"
        target = str(child.popen.pid)
        program = str(Path(sys.executable).with_name("py-spy"))
        options = ["--gil", "--rate", str(RATE), "--format", "raw", "--output", str(folded)]
        spy = subprocess.Popen(
            [program, "record", "--pid", target, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield
        finally:
            spy.send_signal(signal.SIGINT)
            _, complaint = spy.communicate(timeout=60)
        if not folded.exists():
            sys.stderr.write(f"No profile: {complaint.decode().strip()}\n")
            return
        text = hot(folded.read_text())
        folded.with_suffix(".txt").write_text(text)
        sys.stderr.write(f"\n{name}: {folded}\n{text}")


def hot(folded: str, lines: int = 40) -> str:
    """The functions with most samples: by themselves, and with all they call."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        own[_function(frames[-1])] += int(samples)
        for frame in {_function(frame) for frame in frames}:
            whole[frame] += int(samples)
    total = sum(own.values()) or 1
    text = [f"{total} samples", f"{'itself':>7}  function"]
    text += [f"{n / total:7.1%}  {name}" for name, n in own.most_common(lines)]
    text += [f"{'with all':>7}  it calls"]
    text += [f"{n / total:7.1%}  {name}" for name, n in whole.most_common(2 * lines)]
    return "\n".join(text) + "\n"


def _function(frame: str) -> str:
    """`render (templates_app/rendering.py:90)` without its line."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame
