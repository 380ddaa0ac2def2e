"""Two versions side by side: the lines of a diff in pairs, with the words that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from templates_app.admin import parts
from templates_app.diff import Change, diff
from templates_app.models import TemplateVersion

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)")
_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)

Pieces = Sequence[tuple[str, bool]]
"""A line in pieces: text, and whether the other side lacks it."""


@dataclass(frozen=True)
class Side:
    number: int
    pieces: Pieces


@dataclass(frozen=True)
class Row:
    """Two lines that stand for each other; both are None where lines are left out."""

    before: Side | None
    after: Side | None
    is_same: bool = False


@dataclass(frozen=True)
class Difference:
    title: str
    rows: Sequence[Row]


def between(before: TemplateVersion, after: TemplateVersion) -> list[Difference]:
    return [Difference(_title(change), list(_rows(change.lines))) for change in diff(before, after)]


def _title(change: Change) -> str:
    where = parts.label(change.channel, change.part)
    return f"{where} ({change.locale})" if change.locale else where


def _rows(lines: Sequence[str]) -> Iterator[Row]:
    old = new = 0
    removed: list[str] = []
    added: list[str] = []
    for line in [*lines, "@@"]:
        if line[:1] == "-":
            removed.append(line[1:])
        elif line[:1] == "+":
            added.append(line[1:])
        else:
            yield from _replaced(removed, added, old, new)
            old, new = old + len(removed), new + len(added)
            removed, added = [], []
        if hunk := _HUNK.match(line):
            if old:
                yield Row(None, None)
            old, new = int(hunk[1]), int(hunk[2])
        elif line[:1] == " ":
            yield Row(Side(old, [(line[1:], False)]), Side(new, [(line[1:], False)]), is_same=True)
            old, new = old + 1, new + 1


def _replaced(removed: Sequence[str], added: Sequence[str], old: int, new: int) -> Iterator[Row]:
    for place, (before, after) in enumerate(zip_longest(removed, added)):
        left, right = _compared(before, after)
        yield Row(
            None if before is None else Side(old + place, left),
            None if after is None else Side(new + place, right),
        )


def _compared(before: str | None, after: str | None) -> tuple[Pieces, Pieces]:
    """A line that has no other, or little in common with it, differs as a whole."""
    if before is None or after is None:
        return [(before or "", False)], [(after or "", False)]
    old, new = _WORD.findall(before), _WORD.findall(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if len(old) * len(new) > 250_000 or matcher.ratio() < 0.3:
        return [(before, False)], [(after, False)]
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for kind, start, end, other, other_end in matcher.get_opcodes():
        is_changed = kind != "equal"
        left.append(("".join(old[start:end]), is_changed))
        right.append(("".join(new[other:other_end]), is_changed))
    return _filled(left), _filled(right)


def _filled(pieces: Pieces) -> Pieces:
    return [piece for piece in pieces if piece[0]]
