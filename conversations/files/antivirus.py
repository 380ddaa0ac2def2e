"""ClamAV's daemon, asked by its INSTREAM command (clamd(8)): a length before each piece, zero ends."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import IO
from urllib.parse import urlsplit

from django.conf import settings

_PIECE = 64 * 1024
_SECONDS = 30.0


class Unreachable(Exception):
    """It gave no verdict."""


def is_clean(file: IO[bytes]) -> bool:
    """Whether it finds nothing in the file; True where none is set. Raises `Unreachable`."""
    if not settings.CLAMD_URL:
        return True
    file.seek(0)
    try:
        with contextlib.closing(_connect(settings.CLAMD_URL)) as clamd:
            clamd.sendall(b"zINSTREAM\0")
            while piece := file.read(_PIECE):
                clamd.sendall(struct.pack("!I", len(piece)) + piece)
            clamd.sendall(struct.pack("!I", 0))
            answer = _answer(clamd)
    except OSError as error:
        raise Unreachable(type(error).__name__) from None
    finally:
        file.seek(0)
    if answer.endswith(b" OK"):
        return True
    if answer.endswith(b" FOUND"):
        return False
    raise Unreachable("no verdict")  # INSTREAM size limit exceeded, for example


def _connect(url: str) -> socket.socket:
    """`tcp://host:3310` or `unix:///run/clamav/clamd.ctl`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(_SECONDS)
        found.connect(parts.path)
        return found
    return socket.create_connection((parts.hostname or "", parts.port or 3310), _SECONDS)


def _answer(clamd: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"\0") and (piece := clamd.recv(4096)) and len(said) < 4096:
        said += piece
    return said.rstrip(b"\0\n")
