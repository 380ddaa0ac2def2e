"""MJML to the HTML that mail clients show alike, by mrml; template tags keep their places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

import mrml

from templates_app import panics
from templates_app.elements import MAX_DEPTH, VOID, Element, Kind, is_too_deep, read
from templates_app.errors import TemplateSyntaxError
from templates_app.inline import CannotInline, inlined
from templates_app.tags import Masked, blanked, place

PART = "mjml"
MJ_TAGS = frozenset(
    {
        "mj-accordion",
        "mj-accordion-element",
        "mj-accordion-text",
        "mj-accordion-title",
        "mj-all",
        "mj-attributes",
        "mj-body",
        "mj-breakpoint",
        "mj-button",
        "mj-carousel",
        "mj-carousel-image",
        "mj-class",
        "mj-column",
        "mj-divider",
        "mj-font",
        "mj-group",
        "mj-head",
        "mj-hero",
        "mj-image",
        "mj-navbar",
        "mj-navbar-link",
        "mj-preview",
        "mj-raw",
        "mj-section",
        "mj-social",
        "mj-social-element",
        "mj-spacer",
        "mj-style",
        "mj-table",
        "mj-text",
        "mj-title",
        "mj-wrapper",
    }
)
"""What mrml knows; it hands on any other tag as it is, without a word (0.2.4, measured)."""

_HEAD = re.compile(r"<mj-head\b.*?</mj-head>", re.DOTALL)
_SPACES = re.compile(r"(?<=>)[ \t]+(?=<)")
"""What mrml refuses there, unlike the ends of lines (0.2.4, measured)."""
_OPEN_CONDITION = re.compile(r"<!\[endif\](?!-->)")
_TAG = re.compile(
    r"""<!--\s*\[|<!--+>|<!\[
    |<!--.*?(?:-->|\Z)
    |<(?P<slash>/?)(?P<name>[^\s/>"'<!?]+)
      (?:[^"'>]|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))*+(?:>|\Z)""",
    re.DOTALL | re.VERBOSE,
)
"""Comments, a tag, and what begins or ends a condition for Outlook, which is no comment to mrml."""
_POSITION = re.compile(r"position ([0-9]+)")


def to_html(source: str) -> str:
    """The HTML of an email. Raises TemplateSyntaxError, jinja2.TemplateSyntaxError.

    Nothing is included or loaded. `<mj-style inline="inline">` is inlined as `inline` does it:
    mrml's own way moves template tags out of tables.
    """
    masked = Masked(source)
    source = masked.source
    shape = list(read(blanked(source, masked.tags)))
    _check_tags(source, shape)
    if is_too_deep(source) or _nests_too_deep(source):
        _refuse(source, 0, "The elements are nested too deeply.")
    text, css = _without_inline_styles(masked)
    text = _HEAD.sub(lambda head: _SPACES.sub(lambda gap: "\n" * len(gap[0]), head[0]), text)
    try:
        with panics.caught():
            built = mrml.to_html(
                text,
                parser_options=_nothing_included(),
                render_options=mrml.RenderOptions(fonts={}),
            ).content
    except panics.Panicked:
        _refuse(source, 0, "This is not MJML that can be read.")
    except OSError as error:  # what mrml raises for anything it cannot read
        _refuse(source, *_trouble(shape, masked, text, str(error)))
    _check_kept(masked, built)
    try:
        return inlined(masked.restored(built), css) if css else masked.restored(built)
    except CannotInline as error:
        _refuse(source, 0, str(error))


def _nests_too_deep(source: str) -> bool:
    """As mrml counts: what HTML takes for text, in <style> or in a condition, are tags to it."""
    depth = 0
    for found in _TAG.finditer(source):
        name = found["name"]
        if not name or name.lower() in VOID or found[0].endswith("/>"):
            continue
        depth = max(0, depth - 1) if found["slash"] else depth + 1
        if depth > MAX_DEPTH:
            return True
    return False


def _nothing_included() -> mrml.ParserOptions:
    return mrml.ParserOptions(include_loader=mrml.noop_loader())


def _check_tags(source: str, shape: Sequence[Element]) -> None:
    if not any(each.kind is Kind.OPEN and each.name == "mjml" for each in shape):
        _refuse(source, 0, "MJML begins with <mjml>.")
    if found := _OPEN_CONDITION.search(source):  # mrml 0.2.4 panics
        _refuse(source, found.start(), "A condition for Outlook ends with <![endif]-->.")
    for each in shape:
        if each.kind is not Kind.OPEN or not each.name.startswith("mj-"):
            continue
        if each.name == "mj-include":
            _refuse(source, each.start, 'Partials are put in by {% include "key" %}.')
        if each.name not in MJ_TAGS:
            _refuse(source, each.start, f"There is no MJML tag <{each.name[:40]}>.")


def _without_inline_styles(masked: Masked) -> tuple[str, str]:
    """The masked text with a comment in place of <mj-style inline="inline">, and those styles."""
    kept, css, position = [], [], 0
    pieces = read(masked.text)
    for each in pieces:
        if each.kind is Kind.OPEN and each.name == "mj-style" and each.attribute("inline"):
            end = _end(pieces, each.name)
            style = masked.text[each.end : end.start]
            if word := masked.words.search(style):
                start = masked.tags[int(word[1])].start
                _refuse(masked.source, start, "An inline mj-style has no template tags.")
            gap = " " * (end.end - each.start - len("<!---->"))
            kept += [masked.text[position : each.start], f"<!--{gap}-->"]
            css.append(style)
            position = end.end
    return "".join(kept) + masked.text[position:], "\n".join(css)


def _end(pieces: Iterator[Element], name: str) -> Element:
    last = None
    for last in pieces:
        if last.kind is Kind.CLOSE and last.name == name:
            break
    return last or Element(Kind.TEXT, 0, 0, "")


def _check_kept(masked: Masked, built: str) -> None:
    """Where MJML has no use for a text it drops it, and half of a block could be lost."""
    kept = {int(word[1]) for word in masked.words.finditer(built)}
    for number, tag in enumerate(masked.tags):
        if number not in kept and not tag.text.lstrip().startswith("{#"):
            _refuse(masked.source, tag.start, "MJML has no place for a template tag here.")


def _unclosed(shape: Sequence[Element]) -> Element | None:
    stack: list[Element] = []
    for each in shape:
        if each.kind is Kind.OPEN and each.name not in VOID and not each.closes_itself:
            stack.append(each)
        elif each.kind is Kind.CLOSE:
            if not stack or stack[-1].name != each.name:
                return stack[-1] if stack else each
            stack.pop()
    return stack[-1] if stack else None


def _trouble(shape: Sequence[Element], masked: Masked, text: str, said: str) -> tuple[int, str]:
    """Where the author should look, and for what. mrml counts bytes of `text`, if at all."""
    if found := _POSITION.search(said):
        before = text.encode()[: int(found[1])].decode(errors="ignore")
        position = len(masked.restored(masked.text[: len(before)]))
        return position, "MJML has no place for this here."
    if unclosed := _unclosed(shape):
        return unclosed.start, f"This is not valid MJML: <{unclosed.name[:40]}> is not closed."
    return 0, "This is not valid MJML: attributes need quotes, and < in a text is &lt;."


def _refuse(source: str, position: int, message: str) -> NoReturn:
    line, column = place(source, position)
    raise TemplateSyntaxError(message, part=PART, line=line, column=column)
