"""A finished page of HTML, from a designer or another service, as the source of an email.

What no mail client runs or loads is left out and said so; everything else stays as it was written,
byte for byte. Text that looks like a template's tag stays too: the check of the source speaks of it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import jinja2

from templates_app.elements import VOID, Element, Kind, is_too_deep, read
from templates_app.markup import is_safe_link
from templates_app.plain_text import NoPlainText, plain_text

MAX_PAGE = 1_000_000
"""Characters of a page."""

_WITH_CONTENT = frozenset(
    {"script", "noscript", "iframe", "object", "applet", "form", "svg", "audio", "video"}
)
"""Elements that go with all that is in them; of a form its fields go, its text stays."""
_ALONE = frozenset({"base", "embed", "input", "button", "select", "textarea"})
_LINKS = frozenset({"href", "src", "action", "background", "poster", "formaction"})
_IMPORT = re.compile(r"@import\b[^;]*;?", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Imported:
    """`subject` is the page's title; `text` is empty where none can be made. `notices` say what was
    left out, for people.
    """

    subject: str
    html: str
    text: str
    notices: list[str]


def imported(page: str) -> Imported:
    reader = _Reader()
    body = "".join(reader.kept(page))
    notices = [_counted(what, count) for what, count in reader.left_out.items()]
    try:
        text = "" if is_too_deep(body) else plain_text(body)
    except (NoPlainText, jinja2.TemplateSyntaxError):
        text = ""
    if not text:
        notices.append("No plain text could be made from it.")
    return Imported(reader.title, body, text, notices)


def _counted(what: str, count: int) -> str:
    return f"Left out: {what}" + (f" ({count} times)." if count > 1 else ".")


@dataclass
class _Reader:
    left_out: Counter[str] = field(default_factory=Counter)
    title: str = ""
    _inside: str = ""
    _depth: int = 0

    def kept(self, page: str) -> Iterator[str]:
        for element in read(page):
            if self._inside:
                self._skip(element)
            elif element.kind is Kind.OPEN:
                yield self._opened(element)
            elif element.kind is Kind.RAW:
                yield self._raw(element)
            elif element.kind is not Kind.CLOSE or element.name not in _WITH_CONTENT | _ALONE:
                yield element.text

    def _skip(self, element: Element) -> None:
        """Until the element that is left out ends."""
        if element.name != self._inside:
            return
        if element.kind is Kind.OPEN:
            self._depth += not element.closes_itself
        elif element.kind is Kind.CLOSE:
            self._depth -= 1
            if self._depth == 0:
                self._inside = ""

    def _opened(self, element: Element) -> str:
        if element.name == "form":
            self.left_out["forms: their text stays"] += 1
            return ""
        if element.name in _WITH_CONTENT:
            self.left_out[f"<{element.name}> with what is in it"] += 1
            if not element.closes_itself and element.name not in VOID:
                self._inside, self._depth = element.name, 1
            return ""
        if element.name in _ALONE:
            self.left_out[f"<{element.name}>"] += 1
            return ""
        if element.name == "link":
            self.left_out["a stylesheet or another file that would be loaded: <link>"] += 1
            return ""
        if element.name == "meta" and (element.attribute("http-equiv") or "").lower() == "refresh":
            self.left_out["a page that would be gone to: <meta http-equiv=refresh>"] += 1
            return ""
        return self._without_scripts(element)

    def _without_scripts(self, element: Element) -> str:
        text = element.text
        for attribute in reversed(list(element.attributes())):
            is_script = attribute.name.startswith("on") or attribute.name == "srcdoc"
            if is_script:
                self.left_out["scripts in attributes such as onclick"] += 1
            elif attribute.name in _LINKS and not is_safe_link(attribute.value):
                self.left_out["links that are not http, https, mailto, tel or cid"] += 1
            else:
                continue
            start = attribute.name_start - element.start
            end = start + len(attribute.name)
            if attribute.start >= 0:
                end = attribute.start - element.start + len(attribute.value) + attribute.quoted
            text = text[:start].rstrip() + text[end:]
        return text

    def _raw(self, element: Element) -> str:
        if element.name == "title":
            self.title = _SPACE.sub(" ", html.unescape(element.text)).strip()
        if element.name == "style":
            text, count = _IMPORT.subn("", element.text)
            if count:
                self.left_out["stylesheets that would be loaded: @import"] += count
            return text
        return element.text
