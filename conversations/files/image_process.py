"""Pictures are made anew in processes of their own: the memory and the time that a hostile one takes,
and what it does to a decoder, are not the web process's.

A process is kept for the next picture: to start one takes as long as most pictures do.
"""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from tempfile import TemporaryFile
from typing import IO

import structlog

from conversations.files.images import MAX_PIXELS, NotAPicture, Picture
from conversations.files.sniffing import IMAGES

log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Pictures that one web process has made."""

MEMORY = 768 * 1024 * 1024
"""Bytes of a process. JPEG and PNG of 50 million pixels take 600 MB; WebP may take three times that,
and is refused.
"""

CPU_SECONDS = 30
WAIT_SECONDS = 60.0
START_SECONDS = 20.0

PICTURES = 100
"""That one process makes: what decoders leak ends with it."""

LARGEST_ANSWER = 4 * 1024 * 1024
PROGRAM = "conversations.files.image_child"
_ROOT = Path(__file__).resolve().parents[2]


class Unavailable(Exception):
    """No process can be had just now."""


def _unavailable(why: str) -> Unavailable:
    log.warning("no picture process", why=why)
    return Unavailable(why)


class _Child:
    """One of the processes, from here."""

    def __init__(self) -> None:
        """Raises `Unavailable`."""
        self.made = 0
        self._line, theirs = socket.socketpair()
        self._answers = self._line.makefile("rb")
        numbers = (theirs.fileno(), MEMORY, CPU_SECONDS)
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own words
                    [sys.executable, "-m", PROGRAM, *map(str, numbers)],
                    cwd=_ROOT,
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                self._close()
                raise _unavailable(type(error).__name__) from None
        if not self._heard(START_SECONDS):
            raise _unavailable(f"ended with {self.end()}")

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def answer(self, file: IO[bytes], into: IO[bytes]) -> bytes:
        """A line; empty where it has died of the picture, or does not end. Raises `Unavailable`."""
        self.made += 1
        try:
            socket.send_fds(self._line, [b"\n"], [file.fileno(), into.fileno()])
        except OSError as error:
            raise _unavailable(type(error).__name__) from None
        return self._heard(WAIT_SECONDS)

    def _heard(self, seconds: float) -> bytes:
        self._line.settimeout(seconds)
        try:
            return self._answers.readline(LARGEST_ANSWER)
        except OSError:
            return b""

    def end(self) -> int:
        """Its exit code; negative: the signal that it died of."""
        self._process.kill()
        self._close()
        return self._process.wait()

    def _close(self) -> None:
        self._answers.close()
        self._line.close()


def places(number: int = AT_ONCE) -> LifoQueue[_Child | None]:
    """For a process each; None: none is there yet. Whoever has taken one works with it alone."""
    found: LifoQueue[_Child | None] = LifoQueue()
    for _ in range(number):
        found.put(None)
    return found


_places = places()


@atexit.register
def _end_all() -> None:
    for child in _places.queue:
        if child is not None:
            child.end()


def remake(file: IO[bytes], into: IO[bytes]) -> Picture:
    """Write the picture anew, `into` a file on disk. Raises `NotAPicture`, also where its process died
    of it, and `Unavailable`.
    """
    with _taken() as child, _on_disk(file) as given:
        answer = child.answer(given, into)
        if not answer:
            log.warning("picture process died", code=child.end())
        return _read(answer)


@contextmanager
def _taken() -> Iterator[_Child]:
    """A process that is alive. It is used again where all went well: of one that has refused a picture
    nobody knows how much memory it still has.
    """
    try:
        child, kept = _places.get(timeout=WAIT_SECONDS), None
    except Empty:
        raise _unavailable("all are busy") from None
    try:
        if child is not None and not child.is_alive():
            child.end()
            child = None
        child = child or _Child()
        yield child
        kept = child if child.made < PICTURES else None
    finally:
        if child is not None and kept is None:
            child.end()
        _places.put(kept)


@contextmanager
def _on_disk(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Small uploads are in memory, where no other process can read them."""
    try:
        file.fileno()
    except OSError:
        with TemporaryFile() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield copy
    else:
        file.flush()
        yield file


def _read(answer: bytes) -> Picture:
    """Its word is taken as little as that of the picture it has read."""
    try:
        told = json.loads(answer)
        picture = Picture(
            base64.b64decode(told["thumbnail"]),
            str(told["media_type"]),
            int(told["width"]),
            int(told["height"]),
        )
    except (ValueError, KeyError, TypeError):
        raise NotAPicture("none was made") from None
    if picture.media_type not in IMAGES or not 0 < picture.width * picture.height <= MAX_PIXELS:
        raise NotAPicture("none of ours")
    return picture
