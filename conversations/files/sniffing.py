"""What a file is, by its content. What is on no list here is not taken."""

from __future__ import annotations

import codecs
import zipfile
from collections.abc import Callable
from typing import IO

IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""These are made anew from their pixels: `images`."""

_HEAD = 64
_PIECE = 64 * 1024
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = {
    "word/document.xml": f"{_OFFICE}wordprocessingml.document",
    "xl/workbook.xml": f"{_OFFICE}spreadsheetml.sheet",
    "ppt/presentation.xml": f"{_OFFICE}presentationml.presentation",
}
_MACROS = "vbaProject.bin"
MAX_PARTS = 5_000
MAX_DIRECTORY = 600 * 1024
"""Bytes that are read of an archive: its directory, and up to 64 KiB of where that is found."""

MAX_UNPACKED = 500 * 1024 * 1024
"""Bytes of an office document, which is an archive, as it says of itself. Nobody unpacks it here."""

SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "audio/mp4": ".m4a",
    "video/webm": ".webm",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    f"{_OFFICE}wordprocessingml.document": ".docx",
    f"{_OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}presentationml.presentation": ".pptx",
}
"""The list of what is taken, and the name each ends with: systems go by it."""


def media_type(file: IO[bytes]) -> str | None:
    """One of `SUFFIXES`, or None. Reads what it needs, and leaves the file at its beginning."""
    file.seek(0)
    head = file.read(_HEAD)
    found = next((name for name, fits in _SIGNATURES.items() if fits(head)), None)
    if found is None and head[:4] == b"PK\x03\x04":
        found = _document(file)
    if found is None and _is_text(file):
        found = "text/plain"
    file.seek(0)
    return found


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


def _riff(kind: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == kind


def _mp4(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[4:8] == b"ftyp" and head[8:12] in brands


# Matroska has the same beginning as WebM; which it is stands in the header's DocType.
_SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    "image/jpeg": _starts(b"\xff\xd8\xff"),
    "image/png": _starts(b"\x89PNG\r\n\x1a\n"),
    "image/gif": _starts(b"GIF87a", b"GIF89a"),
    "image/webp": _riff(b"WEBP"),
    "application/pdf": _starts(b"%PDF-1.", b"%PDF-2."),
    "audio/mp4": _mp4(b"M4A ", b"M4B "),
    "video/mp4": _mp4(b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1"),
    "video/webm": lambda head: head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head,
    "audio/mpeg": _starts(b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "audio/ogg": _starts(b"OggS"),
    "audio/wav": _riff(b"WAVE"),
}


class _Sparingly:
    """Gives so many bytes of a file and no more. `ZipFile` believes the size that an archive gives for
    its directory, and what it says of the number of parts is checked by nobody.
    """

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Raises `ValueError` where that is too much."""
        found = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise ValueError("too large a directory")
        return found


def _document(file: IO[bytes]) -> str | None:
    """An office document without macros. Only the archive's directory is read."""
    try:
        with zipfile.ZipFile(_Sparingly(file, MAX_DIRECTORY)) as archive:
            parts = {one.filename: one.file_size for one in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return None
    if len(parts) > MAX_PARTS or sum(parts.values()) > MAX_UNPACKED:
        return None
    if "[Content_Types].xml" not in parts or any(name.endswith(_MACROS) for name in parts):
        return None
    return next((kind for part, kind in _DOCUMENTS.items() if part in parts), None)


def _is_text(file: IO[bytes]) -> bool:
    """UTF-8 without control characters, and no markup: a browser might take that for a page."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    is_first = True
    try:
        while piece := file.read(_PIECE):
            text = decoder.decode(piece)
            if is_first and text.lstrip("\ufeff \t\r\n")[:1] in {"<", ""}:
                return False
            is_first = False
            if any(sign < " " and sign not in "\t\r\n\f" for sign in text):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_first
