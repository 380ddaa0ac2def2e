"""The template's own tags in a source, apart from the text around them.

What is built from a source (styles into tags, HTML from MJML, a text part) must not see a tag as
text. Each is replaced by a word that any parser carries along, and put back afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

import jinja2

_LEXER = jinja2.Environment(keep_trailing_newline=True, autoescape=True).lexer
_ENDS = frozenset({"block_end", "variable_end", "comment_end", "raw_begin", "raw_end"})
_BEGINS = frozenset({"block_begin", "variable_begin", "comment_begin", "raw_begin", "raw_end"})


class Kind(StrEnum):
    VALUE = "value"
    STATEMENT = "statement"
    SILENT = "silent"
    """A comment, or one end of a raw block."""


@dataclass(frozen=True, slots=True)
class Tag:
    """`text` with the space that its `-` removes; `word` is a statement's first ("for", "endif")."""

    kind: Kind
    text: str
    word: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def unix(source: str) -> str:
    """With the line ends that the lexer makes of all others."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


@lru_cache(maxsize=16)
def find(source: str) -> Sequence[Tag]:
    """The tags of a source with line ends of `unix`; kept for the next step.

    Raises jinja2.TemplateSyntaxError.
    """
    found: list[Tag] = []
    position = start = 0
    kind, word = Kind.SILENT, ""
    for _line, name, text in _LEXER.tokeniter(source, None):
        at = source.index(text, position)
        if name in _BEGINS:
            start, kind, word = position, _kind(name), ""
        elif name == "name" and not word:
            word = text
        position = at + len(text)
        if name in _ENDS:
            found.append(Tag(kind, source[start:position], word, start))
    return found


def _kind(name: str) -> Kind:
    if name == "variable_begin":
        return Kind.VALUE
    return Kind.STATEMENT if name == "block_begin" else Kind.SILENT


def replaced(source: str, tags: Sequence[Tag], written: Callable[[Tag], str]) -> str:
    """The source with each of `tags` as `written` has it."""
    pieces, position = [], 0
    for tag in tags:
        pieces += [source[position : tag.start], written(tag)]
        position = tag.end
    return "".join(pieces) + source[position:]


def blanked(source: str, tags: Sequence[Tag]) -> str:
    """The source with nothing in place of its tags, or one word where they print; as long as it."""
    return replaced(
        source, tags, lambda tag: ("x" if tag.kind is Kind.VALUE else " ") * len(tag.text)
    )


def place(source: str, position: int) -> tuple[int, int]:
    """Line and column, from 1."""
    line_start = source.rfind("\n", 0, position) + 1
    return source.count("\n", 0, position) + 1, position - line_start + 1


class Masked:
    """A source whose tags are words: letters and digits, so that they may stand wherever tags may."""

    def __init__(self, source: str) -> None:
        """Raises jinja2.TemplateSyntaxError."""
        self.source = unix(source)
        self.tags = find(self.source)
        self.salt = "qz"
        while self.salt in self.source:
            self.salt += "z"
        numbers = iter(range(len(self.tags)))
        self.text = replaced(self.source, self.tags, lambda _: f"{self.salt}{next(numbers)}x")

    @cached_property
    def words(self) -> re.Pattern[str]:
        """Matches one word; its group is the tag's number."""
        return re.compile(f"{self.salt}([0-9]+)x")

    def restored(self, text: str, written: Callable[[Tag], str] = lambda tag: tag.text) -> str:
        """`text` with its words as tags again."""
        return self.words.sub(lambda word: written(self.tags[int(word[1])]), text)
