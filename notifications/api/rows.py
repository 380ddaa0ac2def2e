"""The rows of a batch: read piece by piece, each checked for form. A lean serializer of its own,
because DRF's takes longer than everything else that is done with a row.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from typing import IO, Any, Protocol

import orjson

from commsproject.common.api import strict_json
from commsproject.common.api.problems import TooLarge
from commsproject.common.errors import FieldError, InvalidInput
from notifications import addresses
from notifications.api.input import CONTROL
from notifications.services.asked import Row, Target
from notifications.services.bulk import Rejected

PIECE = 65_536
MAX_LINE = 262_144
"""Bytes of one row of NDJSON."""
MAX_RECORD = 1_048_576
"""Characters of one row of CSV, which may have several lines."""
MAX_BLANK = 100_000
MAX_COLUMNS = 100
MAX_REFERENCE = 200
MAX_USER_ID = 200

_FIELDS = frozenset({"to", "data", "reference"})
_TARGET = frozenset({"user_id", *addresses.FIELDS})


# --- One row -----------------------------------------------------------------------------------


class _Wrong(Exception):
    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors


def _wrong(field: str, code: str, message: str) -> _Wrong:
    return _Wrong(FieldError(field, code, message))


MAX_ERRORS = 5
"""Unknown fields that are told of a row, of each so much of its name: a row may have thousands."""
MAX_NAME = 64


def _unknown(prefix: str, names: Collection[str], known: str) -> list[FieldError]:
    if not names:  # as nearly always, and `nsmallest` of nothing costs as much as a row
        return []
    return [
        FieldError(f"{prefix}{name[:MAX_NAME]}", "unknown_field", f"Unknown field. Known: {known}.")
        for name in nsmallest(MAX_ERRORS, names)
    ]


def check(raw: Any, number: int) -> Row | Rejected:
    """`{"to": {...}, "data": {...}, "reference": "..."}`, or all that is wrong with it."""
    if type(raw) is not dict:
        return Rejected(number, [FieldError("", "not_an_object", "A row is an object.")])
    errors = _unknown("", raw.keys() - _FIELDS, "to, data, reference")
    reference, to, data = "", None, None
    try:
        reference = (
            _line("reference", raw["reference"], MAX_REFERENCE) if "reference" in raw else ""
        )
    except _Wrong as wrong:
        errors += wrong.errors
    try:
        to = _target(raw.get("to"))
    except _Wrong as wrong:
        errors += wrong.errors
    try:
        data = _data(raw["data"]) if "data" in raw else None
    except _Wrong as wrong:
        errors += wrong.errors
    if errors or to is None:
        return Rejected(number, errors, reference)
    return Row(to, data, reference, number)


def _target(raw: Any) -> Target:
    if type(raw) is not dict:
        raise _wrong("to", "required", "Say whom: user_id, email, phone or device.")
    if unknown := _unknown("to.", raw.keys() - _TARGET, "user_id, email, phone, device"):
        raise _Wrong(*unknown)
    user_id = _line("to.user_id", raw["user_id"], MAX_USER_ID) if "user_id" in raw else ""
    given = {
        channel: _address(name, raw[name])
        for name, channel in addresses.FIELDS.items()
        if name in raw
    }
    if not given and not user_id:
        raise _wrong("to", "required", "Say whom: user_id, email, phone or device.")
    return Target(user_id, given)


def _address(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(f"to.{name}", "not_a_text", "Not a text.")
    try:
        return addresses.normalise(addresses.FIELDS[name], value)
    except addresses.BadAddress as error:
        raise _wrong(f"to.{name}", "bad_address", str(error)) from None


def _line(field: str, value: Any, longest: int) -> str:
    """One line of text that is not empty."""
    if not isinstance(value, str):
        raise _wrong(field, "not_a_text", "Not a text.")
    if not value.isprintable() and CONTROL.search(value):
        message = "Control characters and line breaks are not allowed here."
        raise _wrong(field, "control_character", message)
    line = str(value).strip()
    if not line:
        raise _wrong(field, "blank", "It may not be empty.")
    if len(line) > longest:
        raise _wrong(field, "max_length", f"At most {longest} characters.")
    return line


def _data(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _wrong("data", "not_an_object", "Not an object.")
    try:
        orjson.dumps(value)
    except TypeError:
        raise _wrong("data", "number_too_large", "A whole number has at most 64 bits.") from None
    return value


# --- Many rows ---------------------------------------------------------------------------------


_OTHERS = {
    b"\x1f\x8b": "It is compressed by gzip. Send it unpacked.",
    b"PK\x03\x04": "It is a ZIP archive or a workbook. Send NDJSON or CSV.",
    codecs.BOM_UTF16_LE: "It is UTF-16. Save it as UTF-8.",
    codecs.BOM_UTF16_BE: "It is UTF-16. Save it as UTF-8.",
}
"""What else files begin with. Each of a million lines would be refused."""


class Stream:
    """A request's body, hashed while it is read. Raises `TooLarge` beyond `limit` bytes, and
    `InvalidInput` for what is a file of another kind.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._size = 0
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        while piece := self._stream.read(PIECE):
            if not self._size:
                _refuse_others(piece)
            self._size += len(piece)
            if self._size > self._limit:
                raise TooLarge(f"An upload may have at most {self._limit} bytes.")
            self._hash.update(piece)
            yield piece

    def digest(self) -> bytes:
        for _ in self.pieces():
            pass
        return self._hash.digest()


def _refuse_others(beginning: bytes) -> None:
    for mark, message in _OTHERS.items():
        if beginning.startswith(mark):
            raise InvalidInput.of("rows", "malformed", message)


class Format(Protocol):
    def __call__(self, pieces: Iterator[bytes], /) -> Iterator[Row | Rejected]: ...


class Uploaded:
    """An upload in one of the formats below."""

    def __init__(self, stream: Stream, read: Format) -> None:
        self._stream = stream
        self._read = read

    def rows(self) -> Iterator[Row | Rejected]:
        return self._read(self._stream.pieces())

    def digest(self) -> bytes:
        return self._stream.digest()


class Listed:
    """Rows that came in a JSON body, read already."""

    def __init__(self, raw: Sequence[Any]) -> None:
        self._raw = raw

    def rows(self) -> Iterator[Row | Rejected]:
        return (check(raw, number) for number, raw in enumerate(self._raw, 1))

    def digest(self) -> bytes:
        canonical = json.dumps(self._raw, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).digest()


def ndjson(pieces: Iterator[bytes], /) -> Iterator[Row | Rejected]:
    """A message a line."""
    for number, raw in json_lines(pieces):
        yield raw if isinstance(raw, Rejected) else check(raw, number)


def json_lines(pieces: Iterator[bytes]) -> Iterator[tuple[int, Any]]:
    """What each line holds, with its number from 1. A line that is no JSON is that row's error, a
    `Rejected`; empty lines do not count.

    Raises `InvalidInput` for more than `MAX_BLANK` of those.
    """
    number = blank = 0
    for line in _lines(pieces):
        if not number:  # some editors begin a file with it; RFC 8259 lets us overlook it
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            blank += 1
            if blank > MAX_BLANK:
                raise InvalidInput.of("rows", "malformed", "There are too many empty lines.")
            continue
        number += 1
        if len(line) > MAX_LINE:
            error = FieldError("", "too_large", f"A row has at most {MAX_LINE} bytes.")
            yield number, Rejected(number, [error])
            continue
        try:
            yield number, strict_json.loads(line)
        except strict_json.BadJSON as bad:
            yield number, Rejected(number, [FieldError("", "malformed", str(bad))])


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their end; of one that is too long, enough to see it."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        rest = rest[: MAX_LINE + 1]
    yield rest


def comma_separated(pieces: Iterator[bytes], /) -> Iterator[Row | Rejected]:
    """A message a record of CSV, as `csv_records` reads them."""
    for number, raw in csv_records(pieces, _TARGET):
        yield raw if isinstance(raw, Rejected) else _from_cells(raw, number)


def csv_records(
    pieces: Iterator[bytes], one_of: Collection[str]
) -> Iterator[tuple[int, dict[str, str] | Rejected]]:
    """The cells of each record by column, with its number from 1; CSV in UTF-8, whose header has a
    column of `one_of`. Where the quoting breaks, all that follows is in doubt: raises
    `InvalidInput`.
    """
    text = _Text(pieces)
    records = csv.reader(text, strict=True)
    number = 0
    try:
        header = _header(next(records, []), one_of)
        for cells in records:
            text.characters = 0
            if cells:
                number += 1
                yield number, _by_column(header, cells, number)
    except csv.Error as error:
        line = records.line_num
        raise InvalidInput.of("rows", "malformed", f"Not CSV at line {line}: {error}.") from None


def _by_column(header: list[str], cells: list[str], number: int) -> dict[str, str] | Rejected:
    if len(cells) != len(header):
        message = f"{len(cells)} cells for {len(header)} columns."
        return Rejected(number, [FieldError("", "cells", message)])
    return dict(zip(header, cells, strict=True))


class _Text:
    """Lines of text with their ends. `characters` counts them since it was last set to 0."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._lines = self._decoded(pieces)
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.characters += len(line)
        if self.characters > MAX_RECORD:
            raise _too_long()
        return line

    @staticmethod
    def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        rest = ""
        try:
            for piece in pieces:
                *whole, rest = (rest + decoder.decode(piece)).split("\n")
                for line in whole:
                    yield line + "\n"
                if len(rest) > MAX_RECORD:
                    raise _too_long()
            yield rest + decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise InvalidInput.of("rows", "malformed", "The upload is not UTF-8.") from None


def _too_long() -> InvalidInput:
    message = f"A row has at most {MAX_RECORD} characters. Is a quote left open?"
    return InvalidInput.of("rows", "too_large", message)


def _header(names: list[str], one_of: Collection[str]) -> list[str]:
    names = [name.strip() for name in names]
    if len(names) > MAX_COLUMNS:
        raise InvalidInput.of("rows", "header", f"At most {MAX_COLUMNS} columns.")
    if "" in names or len(set(names)) < len(names) or any(not name.isprintable() for name in names):
        message = "The first line names each column, once, in one line."
        raise InvalidInput.of("rows", "header", message)
    if not set(one_of) & set(names):
        message = f"The first line names the columns; one is {_or(one_of)}."
        raise InvalidInput.of("rows", "header", message)
    return names


def _or(names: Collection[str]) -> str:
    *others, last = sorted(names)
    return f"{', '.join(others)} or {last}" if others else last


def _from_cells(cells: dict[str, str], number: int) -> Row | Rejected:
    row: dict[str, Any] = {"to": {}, "data": {}}
    for name, cell in cells.items():
        if name in _TARGET:
            if cell:
                row["to"][name] = cell
        elif name == "reference":
            if cell:
                row["reference"] = cell
        elif "\0" in cell:
            error = FieldError(f"data.{name}", "control_character", "NUL is not allowed here.")
            return Rejected(number, [error])
        else:
            row["data"][name] = cell
    if not row["data"]:
        del row["data"]
    return check(row, number)
