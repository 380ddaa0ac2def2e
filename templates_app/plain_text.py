"""The text part of an email made from its HTML, template tags and all.

Made once, when the template is published, so it cannot know how long values will be or which blocks
will be there: it is written in one pass in the order of the source, lines end where blocks end, and
nothing is laid out in columns.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

import jinja2

from templates_app.elements import VOID, Element, Kind, read
from templates_app.tags import Kind as TagKind
from templates_app.tags import Masked, Tag

_BREAKS = dict.fromkeys(
    [
        "address",
        "article",
        "aside",
        "center",
        "dd",
        "div",
        "dt",
        "figure",
        "footer",
        "header",
        "li",
        "main",
        "section",
        "table",
        "tr",
    ],
    1,
) | dict.fromkeys(
    ["blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "ul"], 2
)
"""Elements to the line ends before and after: 1 a new line, 2 an empty line between."""
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"\A\s*(\{[{%])[-+]?(.*?)[-+]?([%}]\})\s*\Z", re.DOTALL)
_LEXER = jinja2.Environment(autoescape=True).lexer


class NoPlainText(Exception):
    """No text can be made of this HTML."""


def plain_text(source: str) -> str:
    """The source of the text part. Raises NoPlainText, jinja2.TemplateSyntaxError.

    A link is its text with the address in parentheses, an image its alternative text. What is
    hidden is left out.
    """
    masked = Masked(source)
    writer = _Writer(masked)
    for element in read(masked.text):
        writer.read(element)
    return writer.finished()


@dataclass(slots=True)
class _Frame:
    """An `if` or `for` that is open. Line states as in `_Writer`."""

    word: str
    entry: int
    begin: int
    ends: list[int] = field(default_factory=list)
    is_total: bool = False
    leaned_on: int = 0
    """Line ends that its body found there already, which the next turn of a loop will not."""


class _Writer:
    """`_line` is 0 inside a line, 1 at the start of one, 2 after an empty line."""

    def __init__(self, masked: Masked) -> None:
        self._masked = masked
        self._out: list[str] = []
        self._line = 2
        self._break = 0
        self._space = False
        self._frames: list[_Frame] = []
        self._links: list[tuple[str, int]] = []
        self._skipped: list[str] = []

    def read(self, element: Element) -> None:
        if self._skipped:
            self._skip(element)
        elif element.kind is Kind.TEXT:
            self._text(element.text)
        elif element.kind is Kind.OPEN:
            self._open(element)
        elif element.kind is Kind.CLOSE:
            self._close(element.name)

    def finished(self) -> str:
        masked = self._masked
        braces = re.compile(r"\{(?=[{%#]|\Z|" + masked.salt + ")")
        text = braces.sub('{{ "{" }}', "".join(self._out))
        return masked.restored(text, _for_text).strip()

    def _skip(self, element: Element) -> None:
        if element.name != self._skipped[-1]:
            return
        if element.kind is Kind.OPEN:
            self._skipped.append(element.name)
        elif element.kind is Kind.CLOSE:
            self._skipped.pop()

    def _open(self, element: Element) -> None:
        name = element.name
        if name not in VOID and _is_hidden(element):
            self._skipped.append(name)
            return
        self._ask(_BREAKS.get(name, 0))
        match name:
            case "br":
                self._end_line()
            case "hr":
                self._put("---")
                self._ask(2)
            case "li":
                self._put("- ")
                self._line = 2  # what follows stays beside it
            case "td" | "th":
                self._space = True
            case "img":
                self._text(element.attribute("alt") or "")
            case "a":
                self._links.append((element.attribute("href") or "", len(self._out)))

    def _close(self, name: str) -> None:
        if name == "a" and self._links:
            self._link(*self._links.pop())
        if name in ("td", "th"):
            self._space = True
        if name == "li" and self._out and self._out[-1] == "- ":
            self._line = 0
        self._ask(_BREAKS.get(name, 0))

    def _link(self, address: str, begin: int) -> None:
        address = html.unescape(address).strip()
        said = "".join(self._out[begin:]).strip()
        if not address or address.startswith("#") or self._is_same(said, address):
            return
        self._space = bool(said)
        self._put(f"({address})" if said else address)

    def _is_same(self, said: str, address: str) -> bool:
        said, address = self._masked.restored(said), self._masked.restored(address)
        return said in (address, address.removeprefix("mailto:"), address.removeprefix("tel:"))

    def _text(self, text: str) -> None:
        position = 0
        for word in self._masked.words.finditer(text):
            self._literal(text[position : word.start()])
            tag = self._masked.tags[int(word[1])]
            if tag.kind is TagKind.VALUE:
                self._put(word[0])
            elif tag.kind is TagKind.STATEMENT:
                self._statement(tag, word[0])
            position = word.end()
        self._literal(text[position:])

    def _literal(self, text: str) -> None:
        text = _SPACE.sub(" ", html.unescape(text))
        if not text:
            return
        self._space = self._space or text.startswith(" ")
        if stripped := text.strip():
            self._put(stripped)
            self._space = text.endswith(" ")

    def _statement(self, tag: Tag, word: str) -> None:
        if tag.word in ("if", "for"):
            self._flush()
            self._out.append(word)
            self._frames.append(_Frame(tag.word, self._line, len(self._out)))
            return
        if not self._frames:
            raise NoPlainText("Half of a block is where only HTML has a place for it.")
        frame = self._frames[-1]
        self._flush()
        if frame.word == "for" and not frame.is_total and frame.leaned_on > self._line:
            self._out.append("\n" * (frame.leaned_on - self._line))
            self._line = frame.leaned_on
        self._out.append(word)
        frame.ends.append(self._line)
        if tag.word.startswith("end"):
            self._frames.pop()
            self._line = min(frame.ends if frame.is_total else [*frame.ends, frame.entry])
        else:
            self._line = frame.entry
            frame.is_total = tag.word == "else"

    def _ask(self, lines: int) -> None:
        self._break = max(self._break, lines)

    def _end_line(self) -> None:
        self._flush()
        if self._line < 2:
            self._out.append("\n")
            self._line += 1

    def _put(self, text: str) -> None:
        self._flush()
        self._out.append(text)
        self._line = 0

    def _flush(self) -> None:
        """Write the line ends, or the space, that were asked for."""
        if self._break > self._line:
            self._out.append("\n" * (self._break - self._line))
            self._line = self._break
        elif self._break and self._frames and self._frames[-1].begin == len(self._out):
            self._frames[-1].leaned_on = self._break
        elif self._space and not self._break and not self._line:
            self._out.append(" ")
        self._break = 0
        self._space = False


def _is_hidden(element: Element) -> bool:
    names = {one.name: one.value for one in element.attributes()}
    return (
        element.name == "head" or "hidden" in names or bool(_HIDDEN.search(names.get("style", "")))
    )


def _for_text(tag: Tag) -> str:
    """The tag without its control of space, which here is ours, and without `escape`: text has none."""
    if tag.kind is TagKind.SILENT:
        return ""
    found = _CONTROL.fullmatch(tag.text)
    if found is None:
        return tag.text
    tokens = [
        (kind, text) for _, kind, text in _LEXER.tokeniter(f"{found[1]}{found[2]}{found[3]}", None)
    ]
    return "".join(text for place, (_, text) in enumerate(tokens) if not _escapes(tokens, place))


def _escapes(tokens: list[tuple[str, str]], place: int) -> bool:
    """Whether the token is part of `| escape` or `| e`."""
    meant = [at for at, (kind, _) in enumerate(tokens) if kind != "whitespace"]
    if place not in meant:
        return False
    at = meant.index(place)
    pipe = at if tokens[place] == ("operator", "|") else at - 1
    if pipe < 0 or pipe + 1 >= len(meant):
        return False
    return tokens[meant[pipe]] == ("operator", "|") and tokens[meant[pipe + 1]] in (
        ("name", "e"),
        ("name", "escape"),
    )
