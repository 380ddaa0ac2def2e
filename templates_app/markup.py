"""Where in the HTML of a template a value lands, and whether a link is safe there.

Escaping makes a value safe in text and in quoted attributes only, so `Markup` reads the literal text
around the values and says where escaping would not help. It is a reader of tags, not a validator.
Blocks are read in the order they are written, as if every branch were taken.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

LINK_START = "\ufdd0"
"""Marks the start of a link with a value in it; a noncharacter, removed after rendering."""

SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})

_LINKS = frozenset(
    {"href", "src", "action", "formaction", "background", "poster", "cite", "data", "xlink:href"}
)
_CLOSED = frozenset({"srcdoc", "ping", "srcset", "imagesrcset"})
"""Attributes that are no place for a value: a document, or lists of links."""
_ANIMATIONS = frozenset({"animate", "set"})
"""Of SVG: they give other attributes their values."""
_OPEN_URL = re.compile(r"url\([^)]*\Z", re.IGNORECASE)
_RAW_END = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style")}
_OPENING = re.compile(r"<(?=/?[a-z]|[!?]|/?\Z)", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][^\s/>]*)", re.IGNORECASE)
_CONDITIONAL = re.compile(r"<!--\[if[^\]]{0,200}\]>|<!\[endif\]--+>|<!--+>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""[\s/=]*(?:(?P<end>>)|(?P<name>[^\s/>=]+)(?:(?P<equals>\s*=\s*)(?P<quote>["']?))?)"""
)
_UNQUOTED_END = re.compile(r"[\s>]|\Z")
_IGNORED_BY_BROWSERS = str.maketrans("", "", "\t\n\r")
_LEADING = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_OF_A_SCHEME = re.compile(r"[a-z0-9+.-]*", re.IGNORECASE)
_MAY_END_A_SCHEME = re.compile(r"[\x00-\x20a-z0-9+.-]*[:&]", re.IGNORECASE)
_HEAD = 64
"""Characters of a link that tell its scheme: the longest that is allowed has 6."""
TOO_LONG = "?"
_USUAL = ("https:", "http:", "mailto:", "tel:")
_TO_QUOTE = re.compile(r"[\"']")


class Misplaced(Exception):
    """The text before a value, or a literal link, is unsafe. `position` is its offset in the fed text."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


def is_safe_link(link: str) -> bool:
    """Whether an attribute's text (still escaped) is relative or has one of `SCHEMES`, read as a browser does."""
    return link.startswith(_USUAL) or scheme(link) in {"", *SCHEMES}


def scheme(link: str) -> str:
    """In small letters, "" where the link is relative; read as a browser does.

    A few characters tell, of however many. Where they do not, and something later may end a
    scheme, it is `TOO_LONG`, which nobody allows.
    """
    link = link.lstrip(_LEADING)
    head, rest = _split(link)
    plain = html.unescape(head).translate(_IGNORED_BY_BROWSERS).lstrip(_LEADING)
    if found := _SCHEME.match(plain):
        return found[1].lower()
    if _OF_A_SCHEME.fullmatch(plain) and _MAY_END_A_SCHEME.match(rest):
        return TOO_LONG
    return ""


def _split(link: str) -> tuple[str, str]:
    """After the characters that tell its scheme, and not inside an entity."""
    if len(link) <= _HEAD:
        return link, ""
    end = link.rfind("&", 0, _HEAD)
    if end < 0 or ";" in link[end:_HEAD]:
        end = _HEAD
    return link[:end], link[end:]


def check_links(rendered: str) -> str | None:
    """The rendered HTML without its marks, or None where a marked link is unsafe."""
    first, *rest = rendered.split(LINK_START)
    if all(map(is_safe_start, set(rest))):
        return first + "".join(rest)
    return None


def is_safe_start(text: str) -> bool:
    """Whether the link that `text` begins with, up to a quote, is safe as in `is_safe_link`."""
    return is_usual(text) or is_safe_link(_TO_QUOTE.split(text, maxsplit=1)[0])


def is_usual(text: str) -> bool:
    """Whether the link that `text` begins with is safe, however it goes on."""
    return text.startswith(_USUAL)


def ends_link(text: str) -> bool:
    return _TO_QUOTE.search(text) is not None


def _end_of_unquoted(text: str, start: int) -> int:
    found = _UNQUOTED_END.search(text, start)
    return found.start() if found else len(text)


class Markup:
    """Reads the literal HTML of a template, piece by piece."""

    def __init__(self) -> None:
        self._read: Callable[[str, int], int] = self._text
        self._tag = ""
        self._attribute = ""
        self._quote = ""
        self._style = ""  # of the attribute so far
        self._marks: list[int] = []

    def feed(self, text: str) -> str:
        """Reads on; the text comes back with a mark at each link that goes on with a value. Raises Misplaced."""
        self._marks.clear()
        position = 0
        while position < len(text):
            position = self._read(text, position)
        for mark in reversed(self._marks):
            text = text[:mark] + LINK_START + text[mark:]
        return text

    def value(self) -> bool:
        """A value follows here: whether it is in a style, and so has to look like a value of one.

        Raises Misplaced where neither escaping nor that would make it safe.
        """
        if self._read == self._raw:
            raise Misplaced(f"A value cannot be used inside <{self._tag}>.")
        if self._read == self._unquoted:
            raise Misplaced(f"Put quotes around the value of the attribute {self._attribute}.")
        if self._read in (self._inside_tag, self._declaration):
            raise Misplaced("A value in a tag must be inside a quoted attribute.")
        if self._read != self._quoted:
            return False
        if self._attribute.startswith("on") or self._attribute in _CLOSED:
            raise Misplaced(f"A value cannot be used in the attribute {self._attribute}.")
        if self._tag in _ANIMATIONS or (self._tag, self._attribute) == ("meta", "content"):
            raise Misplaced(f"A value cannot be used in <{self._tag}>.")
        if self._attribute == "style" and _OPEN_URL.search(self._style):
            raise Misplaced("A value cannot be used in url(...) of a style.")
        return self._attribute == "style"

    def _text(self, text: str, position: int) -> int:
        opening = _OPENING.search(text, position)
        if opening is None:
            return len(text)
        start = opening.start()
        if conditional := _CONDITIONAL.match(text, start):
            return conditional.end()
        if tag := _TAG.match(text, start):
            self._tag = "" if tag[1] else tag[2].lower()
            self._read = self._inside_tag
            return tag.end()
        if text.startswith("<!--", start):
            self._read = self._comment
            return start + 4
        if text.startswith(("<!", "<?"), start):
            self._read = self._declaration
        else:  # the end of the literal text: a value goes on with the name of the tag
            self._tag = ""
            self._read = self._inside_tag
        return start + 1

    def _comment(self, text: str, position: int) -> int:
        return self._until("-->", text, position)

    def _declaration(self, text: str, position: int) -> int:
        return self._until(">", text, position)

    def _until(self, end: str, text: str, position: int) -> int:
        found = text.find(end, position)
        if found < 0:
            return len(text)
        self._read = self._text
        return found + len(end)

    def _raw(self, text: str, position: int) -> int:
        found = _RAW_END[self._tag].search(text, position)
        if found is None:
            return len(text)
        self._read = self._text
        return found.start()

    def _inside_tag(self, text: str, position: int) -> int:
        found = _ATTRIBUTE.match(text, position)
        if found is None:
            return len(text)
        if found["end"]:
            self._read = self._raw if self._tag in _RAW_END else self._text
        elif found["equals"]:
            self._attribute = found["name"].lower()
            self._style = ""
            self._quote = found["quote"]
            self._read = self._quoted if self._quote else self._unquoted
            self._start_link(text, found.end())
        return found.end()

    def _start_link(self, text: str, start: int) -> None:
        if self._attribute not in _LINKS:
            return
        end = text.find(self._quote, start) if self._quote else _end_of_unquoted(text, start)
        if end < 0:
            self._marks.append(start)
        elif not is_safe_link(text[start:end]):
            message = (
                f"The link in {self._attribute} must be http, https, mailto, tel, cid or relative."
            )
            raise Misplaced(message, start)

    def _quoted(self, text: str, position: int) -> int:
        found = text.find(self._quote, position)
        if self._attribute == "style":
            self._style += text[position : found if found >= 0 else len(text)]
        if found < 0:
            return len(text)
        self._read = self._inside_tag
        return found + 1

    def _unquoted(self, text: str, position: int) -> int:
        end = _end_of_unquoted(text, position)
        if end < len(text):
            self._read = self._inside_tag
        return end
