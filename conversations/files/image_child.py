"""The program that makes pictures anew, apart from the web process and within bounds. `image_process`
starts it with a socket, the bytes it may have, and the seconds of CPU for one picture.

It loads no Django and gets no environment: where decoders read what strangers send are no secrets.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from conversations.files import images

LARGEST_RESULT = 256 * 1024 * 1024
"""Bytes. The largest, a PNG of noise, has half of that."""


def main() -> None:
    descriptor, memory, seconds = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # what the whole group gets
        signal.signal(number, signal.SIG_IGN)  # the web process ends what it has begun, and then us
    with suppress(OSError):  # where all of the memory is used up, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    _bound(resource.RLIMIT_AS, memory)
    _bound(resource.RLIMIT_FSIZE, LARGEST_RESULT)
    _bound(resource.RLIMIT_CORE, 0)
    with socket.socket(fileno=descriptor) as line, suppress(OSError):  # whoever asked has gone
        line.sendall(b"ready\n")
        while descriptors := socket.recv_fds(line, 1, 2)[1]:
            _bound(resource.RLIMIT_CPU, int(time.process_time()) + seconds)
            line.sendall(json.dumps(_made(*descriptors)).encode() + b"\n")


def _bound(kind: int, most: int) -> None:
    with suppress(ValueError, OSError):  # it is lower already, or the system knows no such bound
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _made(given: int, into: int) -> dict[str, object] | None:
    """What is told of the picture; None where it is none."""
    with os.fdopen(given, "rb") as file, os.fdopen(into, "wb") as result:
        try:
            picture = images.remake(file, result)
        except images.NotAPicture:
            return None
    return {**vars(picture), "thumbnail": base64.b64encode(picture.thumbnail).decode()}


if __name__ == "__main__":
    main()
