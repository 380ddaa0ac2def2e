"""From what an author wrote to what is rendered: all that can be done once, done on publishing.

Layout and partials are put in, MJML becomes HTML, styles go into the tags and an email without a text
gets one; a render is then the engine alone. Every result is compiled, so what is published renders.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jinja2

from commsproject.common.errors import FieldError, InvalidInput
from templates_app import compile as compiler
from templates_app import hosted, includes, locales, mjml, variables
from templates_app.elements import Element, read
from templates_app.elements import Kind as ElementKind
from templates_app.errors import SourceError, TemplateError, TemplateSyntaxError
from templates_app.includes import Expansion, Library
from templates_app.inline import CannotInline, inlined
from templates_app.models import WHOLE, Kind, TemplateVersion
from templates_app.plain_text import NoPlainText, plain_text
from templates_app.rendering import LINKS, finished
from templates_app.tags import Masked, blanked, find, place, unix
from templates_app.types import NullIs

CLIPPED_AT = 102_400
"""Bytes of HTML beyond which Gmail shows a part only (support.google.com/mail)."""

MAX_TRANSLATIONS = 50

_BODIES = ("text", "html", mjml.PART)
_REMOVED = frozenset({"script", "iframe", "form", "object", "embed", "applet"})
_HIDDEN = (
    '<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;'
    'overflow:hidden">{}</div>'
)


@dataclass(frozen=True)
class Notice:
    """Something that works and will disappoint. `field` as in `FieldError`."""

    field: str
    code: str
    message: str


@dataclass(frozen=True)
class Built:
    """`content` and `pins` as in `TemplateVersion`; `variables` are the names all parts read.

    `schema` is that of the data as found. With `errors`, what they stand in has no content.
    """

    content: Mapping[str, locales.Channels]
    pins: list[dict[str, Any]]
    variables: list[str]
    notices: list[Notice]
    schema: dict[str, Any] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)


def build(version: TemplateVersion, library: Library) -> Built:
    """Raises `InvalidInput` with every error found, each with its part, line and column.

    A layout or a partial is checked; its content is empty.
    """
    built = attempt(version, library)
    if built.errors:
        raise invalid(built.errors)
    return built


def invalid(errors: Sequence[FieldError]) -> InvalidInput:
    """All of them; the first one for those who read no further."""
    return InvalidInput(f"{errors[0].field}: {errors[0].message}", errors=errors)


def attempt(version: TemplateVersion, library: Library) -> Built:
    """As much as can be built, and every error found."""
    kind = version.template.kind
    work = _Build(version, kind, Expansion(library))
    named = list(version.translations)
    if len(named) > MAX_TRANSLATIONS:
        message = f"At most {MAX_TRANSLATIONS} languages beside the template's own."
        work.errors.append(FieldError("translations", "too_many", message))
    content = {tag: work.channels(tag) for tag in ("", *named[:MAX_TRANSLATIONS])}
    work.keep_hosted(content[""])
    schema = variables.infer_any(work.contents, cast("NullIs", version.null_is))
    if kind == Kind.LAYOUT:
        schema["properties"].pop("content", None)
        schema["required"] = [name for name in schema.get("required", ()) if name != "content"]
    work.notices += _alike(schema)
    pins = [{"key": key, "number": number} for key, number in sorted(work.expansion.pins.items())]
    content = content if kind in WHOLE else {}
    return Built(content, pins, sorted(work.variables), work.notices, schema, work.errors)


@dataclass
class _Build:
    version: TemplateVersion
    kind: str
    expansion: Expansion
    errors: list[FieldError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    contents: list[list[tuple[str, str]]] = field(default_factory=list)
    """What was built, of which a message has one: for the schema."""

    def keep_hosted(self, channels: dict[str, Mapping[str, str]]) -> None:
        """An email that only a provider has is a channel of no parts."""
        named = self.version.hosted
        if errors := list(hosted.errors(named)):
            self.errors += errors
            return
        for one in named.values():
            self.contents.append(hosted.sources(one))
            for part, source in self.contents[-1]:
                self.variables |= compiler.compile_part(source, part).variables
        if named and "email" not in self.version.channels:
            channels["email"] = {}
            message = (
                f"Only {', '.join(sorted(named))} can send the email: for another provider to step"
                " in, write one here, too."
            )
            self.notices.append(Notice("hosted", "no_local_body", message))

    def channels(self, locale: str) -> dict[str, Mapping[str, str]]:
        if locale and not locales.is_tag(locale):
            message = "A language is a tag such as de or pt-BR."
            self.errors.append(FieldError(f"translations.{locale[:35]}", "invalid", message))
            return {}
        written = self.version.translations[locale] if locale else self.version.channels
        prefix = f"translations.{locale}" if locale else "channels"
        found: dict[str, Mapping[str, str]] = {}
        for channel, parts in written.items():
            where = f"{prefix}.{channel}"
            if locale and channel not in self.version.channels:
                message = "Only channels of the template itself can be translated."
                self.errors.append(FieldError(where, "not_translatable", message))
            elif self._is_sound(parts, where) and (
                built := self._built(channel, parts, locale, where)
            ):
                found[channel] = built
        return found

    def _is_sound(self, parts: Mapping[str, str], where: str) -> bool:
        """Whether each source is in the language by itself; its errors have their own lines."""
        before = len(self.errors)
        if "html" in parts and mjml.PART in parts:
            message = "An email is written in html or in mjml."
            self.errors.append(FieldError(f"{where}.{mjml.PART}", "two_bodies", message))
        for part, source in parts.items():
            try:
                compiler.check(_alone(source), part=part)
                self._check_slots(part, source)
                _check_literal(part, source)
            except TemplateSyntaxError as error:
                self._refuse(error, where, part)
        return len(self.errors) == before

    def _check_slots(self, part: str, source: str) -> None:
        if self.kind == Kind.LAYOUT and part in _BODIES and includes.slots(source) != 1:
            message = "A layout says {{ content }} once."
            raise TemplateSyntaxError(message, part=part, line=1, column=1)

    def _built(
        self, channel: str, parts: Mapping[str, str], locale: str, where: str
    ) -> Mapping[str, str]:
        try:
            parts = self._expanded(channel, parts, locale or self.version.locale, where)
            if self.kind == Kind.MESSAGE and channel == "email":
                parts = self._email(parts, where)
            for part, source in parts.items():
                self.variables |= compiler.compile_part(source, part).variables
        except TemplateSyntaxError as error:
            self._refuse(error, where, error.part)
            return {}
        self.contents.append(list(parts.items()))
        if self.kind == Kind.LAYOUT:
            self.variables.discard("content")
        return parts

    def _expanded(
        self, channel: str, parts: Mapping[str, str], locale: str, where: str
    ) -> dict[str, str]:
        expanded = {
            part: self.expansion.expanded(source, channel=channel, part=part, locale=locale)
            for part, source in parts.items()
        }
        if not self.version.layout:
            return expanded
        layout = self.expansion.layout(self.version.layout)
        if layout is None:
            message = f"There is no published layout {self.version.layout!r}."
            if not any(error.field == "layout" for error in self.errors):
                self.errors.append(FieldError("layout", "unknown_layout", message))
            return expanded
        return self._laid_out(expanded, layout, channel, locale)

    def _laid_out(
        self, parts: dict[str, str], layout: TemplateVersion, channel: str, locale: str
    ) -> dict[str, str]:
        around = {
            part: self.expansion.expanded(source, channel=channel, part=part, locale=locale)
            for part, source in includes.sources(layout, locale).get(channel, {}).items()
            if part in _BODIES
        }
        found: dict[str, str] = {}
        for part, source in parts.items():
            of_layout = mjml.PART if part == "html" and mjml.PART in around else part
            if part == mjml.PART and part not in around and "html" in around:
                message = "The layout is written in html, so the message cannot be in mjml."
                raise TemplateSyntaxError(message, part=part, line=1, column=1)
            if of_layout in around:
                found[of_layout] = includes.wrapped(around[of_layout], source)
            else:
                found[part] = source
        return found

    def _email(self, parts: Mapping[str, str], where: str) -> dict[str, str]:
        found = {"subject": parts["subject"]} if "subject" in parts else {}
        body = self._html(parts, where)
        text = parts.get("text") or self._text(body, where)
        if text:
            found["text"] = text
        if body:
            found["html"] = _with_preheader(body, parts.get("preheader", ""))
        self.notices += _notices(found, where)
        return found

    def _html(self, parts: Mapping[str, str], where: str) -> str:
        if mjml.PART in parts:
            return _translated(parts[mjml.PART])
        source = parts.get("html", "")
        try:
            return inlined(source)
        except CannotInline as error:
            message = f"The styles stay in <style>. {error}"
            self.notices.append(Notice(f"{where}.html", "not_inlined", message))
            return source

    def _text(self, body: str, where: str) -> str:
        """Made from the HTML; none where that has parts of statements in places that text leaves out."""
        if not body:
            return ""
        message = "No text is written: it is made from the HTML."
        try:
            text = plain_text(body)
            compiler.compile_part(text, "text")
        except (NoPlainText, TemplateSyntaxError):
            text = ""
            message = "No text is written, and none can be made from this HTML."
        self.notices.append(Notice(f"{where}.text", "no_text", message))
        return text

    def _refuse(self, error: TemplateSyntaxError, where: str, part: str) -> None:
        place = (error.line, error.column)
        self.errors.append(SourceError.at(f"{where}.{part}", "syntax", error.message, place))


def _check_literal(part: str, source: str) -> None:
    """What is certain before any data come: a link up to its first value, a line without values."""
    source = unix(source)
    tags = find(source) if part in compiler.ONE_LINE else []
    if part in LINKS or (part in compiler.ONE_LINE and not tags):
        try:
            finished(part, source[: tags[0].start] if tags else source)
        except TemplateError as error:
            raise TemplateSyntaxError(error.message, part=part, line=1, column=1) from None


def _alone(source: str) -> str:
    """Without partials; what is no template comes back as it is, for the compiler to say so."""
    try:
        return includes.without(source)
    except jinja2.TemplateSyntaxError:
        return source


def _translated(source: str) -> str:
    """MJML as HTML. What is wrong only there has no line of the author's."""
    built = mjml.to_html(source)
    try:
        compiler.compile_part(built, "html")
    except TemplateSyntaxError as error:
        raise TemplateSyntaxError(error.message, part=mjml.PART, line=1, column=1) from None
    return built


def _with_preheader(body: str, preheader: str) -> str:
    """The line that mail clients show beside the subject, hidden at the start of the body."""
    if not preheader:
        return body
    masked = Masked(preheader)
    hidden = _HIDDEN.format(masked.restored(html.escape(masked.text)))
    start = next((each.end for each in _opened(body) if each.name == "body"), 0)
    return body[:start] + hidden + body[start:]


def _notices(parts: Mapping[str, str], where: str) -> Iterator[Notice]:
    body = parts.get("html", "")
    if len(body.encode()) > CLIPPED_AT:
        message = f"The HTML is larger than {CLIPPED_AT // 1024} KB: Gmail cuts such mails off."
        yield Notice(f"{where}.html", "clipped", message)
    if "unsubscribe" not in "".join(parts.values()).lower():
        message = "Nothing in it says how to unsubscribe."
        yield Notice(where, "no_unsubscribe", message)
    yield from _removed(body, where)
    for each in _opened(body):
        if each.name == "img" and each.attribute("alt") is None:
            message = f"An image has no alt text (line {place(body, each.start)[0]})."
            yield Notice(f"{where}.html", "no_alt", message)
        if each.name == "a" and (each.attribute("href") or "").lower().startswith("http:"):
            message = f"A link is not https (line {place(body, each.start)[0]})."
            yield Notice(f"{where}.html", "not_https", message)


def _removed(body: str, where: str) -> Iterator[Notice]:
    """What mail clients take out or do not load, once for each kind of it."""
    found: dict[str, int] = {}
    for each in _opened(body):
        for what in _removed_of(each):
            found.setdefault(what, each.start)
    for what, start in found.items():
        message = f"Mail clients remove {what} (line {place(body, start)[0]})."
        yield Notice(f"{where}.html", "removed", message)


def _removed_of(element: Element) -> Iterator[str]:
    if element.name in _REMOVED:
        yield f"<{element.name}>"
    if element.name == "link" and "stylesheet" in (element.attribute("rel") or "").lower():
        yield "stylesheets of other files"
    if any(one.name.startswith("on") for one in element.attributes()):
        yield "scripts in attributes such as onclick"


def _alike(schema: Mapping[str, Any], where: str = "") -> Iterator[Notice]:
    """Names of the data that differ only by capital letters: one of them is a slip, as a rule."""
    named: dict[str, str] = {}
    for name, one in schema.get("properties", {}).items():
        path = f"{where}.{name}".lstrip(".")
        other = named.setdefault(name.lower(), path)
        if other != path:
            message = f"It reads {other} and {path}: in the data these are two names."
            yield Notice("schema", "alike", message)
        yield from _alike(one, path)
    if "items" in schema:
        yield from _alike(schema["items"], f"{where}[]")


def _opened(body: str) -> Iterator[Element]:
    """The start tags, values in them as words."""
    shape = read(blanked(body, find(body)))
    return (each for each in shape if each.kind is ElementKind.OPEN)
