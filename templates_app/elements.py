"""The tags of HTML and MJML in the order they are written: positions, not a tree.

One pass, linear in the length whatever the source; nothing is added or moved as a browser would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
"""Elements of HTML without an end tag."""
MAX_DEPTH = 200
"""Elements inside each other. The libraries that read trees crash at some thousands (measured)."""

_FOREIGN = frozenset({"svg", "math"})
_RAW = frozenset({"script", "style", "textarea", "title"})
_MAY_STAY_OPEN = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "td",
        "th",
        "tr",
        "tbody",
        "thead",
        "tfoot",
        "option",
        "html",
        "head",
        "body",
    ]
)
_TOKEN = re.compile(
    r"""<!--.*?(?:-->|\Z)
    |<[!?][^>]*(?:>|\Z)
    |<(?P<slash>/?)(?P<name>[a-z][^\s/>"'<]*)
      (?P<attributes>(?:[^"'>]|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))*+)(?:>|\Z)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'>/=]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+)))?"""
)


class Kind(StrEnum):
    TEXT = "text"
    OPEN = "open"
    CLOSE = "close"
    RAW = "raw"
    """What is inside a <style>, <script>, <title> or <textarea>; `name` says which."""
    OTHER = "other"
    """A comment or a declaration."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value` is as written, still escaped; `start` is its offset in the whole text."""

    name: str
    name_start: int
    value: str
    start: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class Element:
    """A tag, or what is between two; `name` in lower case."""

    kind: Kind
    start: int
    end: int
    text: str
    name: str = ""
    attributes_start: int = 0

    def attributes(self) -> Iterator[Attribute]:
        body = self.text[self.attributes_start - self.start :]
        for found in _ATTRIBUTE.finditer(body):
            value, quoted = found["double"], True
            group = "double"
            if value is None:
                group = "single" if found["single"] is not None else "bare"
                value, quoted = found[group], group == "single"
            start = self.attributes_start + found.start(group) if value is not None else -1
            yield Attribute(
                found["name"].lower(),
                self.attributes_start + found.start("name"),
                value or "",
                start,
                quoted and value is not None,
            )

    def attribute(self, name: str) -> str | None:
        return next((one.value for one in self.attributes() if one.name == name), None)

    @property
    def closes_itself(self) -> bool:
        return self.text.endswith("/>")


def read(text: str) -> Iterator[Element]:
    """Every piece of `text`: together they are all of it."""
    position = 0
    while found := _TOKEN.search(text, position):
        if found.start() > position:
            yield _piece(Kind.TEXT, text, position, found.start())
        position = found.end()
        if not found["name"]:
            yield _piece(Kind.OTHER, text, found.start(), position)
            continue
        name = found["name"].lower()
        kind = Kind.CLOSE if found["slash"] else Kind.OPEN
        yield Element(
            kind,
            found.start(),
            position,
            found[0],
            name,
            attributes_start=found.start("attributes"),
        )
        if kind is Kind.OPEN and name in _RAW:
            end = _end_of_raw(text, name, position)
            yield Element(Kind.RAW, position, end, text[position:end], name)
            position = end
    if position < len(text):
        yield _piece(Kind.TEXT, text, position, len(text))


def _piece(kind: Kind, text: str, start: int, end: int) -> Element:
    return Element(kind, start, end, text[start:end])


def _end_of_raw(text: str, name: str, position: int) -> int:
    found = re.compile(f"</{name}", re.IGNORECASE).search(text, position)
    return found.start() if found else len(text)


def is_too_deep(text: str) -> bool:
    """Whether a tree of it could be deeper than `MAX_DEPTH`.

    An element that is left open when another ends counts for good: HTML opens it again further on.
    In <svg> and <math> every element has an end tag, or ends itself.
    """
    stack: list[str] = []
    left_open = 0
    elements = list(read(text))
    is_foreign = any(element.name in _FOREIGN for element in elements)
    for element in elements:
        is_void = element.name in VOID and (element.closes_itself or not is_foreign)
        if element.kind is Kind.OPEN and not (is_void or _is_empty(element)):
            stack.append(element.name)
        elif element.kind is Kind.CLOSE and element.name in stack:
            while (name := stack.pop()) != element.name:
                left_open += name not in _MAY_STAY_OPEN
        if len(stack) + left_open > MAX_DEPTH:
            return True
    return False


def _is_empty(element: Element) -> bool:
    return element.closes_itself and element.name.startswith("mj-")
