"""Styles of an email's <style> written into its tags: many mail clients drop or ignore the rest.

Only `style` attributes are added. The source itself never goes through a parser of HTML, which
would move template tags out of tables; it is a copy that is styled, and the source takes over what
each numbered tag of the copy was given. <style> stays where it is, with its media queries.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import css_inline

from templates_app import css_work, panics
from templates_app.elements import Attribute, Element, Kind, is_too_deep, read
from templates_app.tags import Kind as TagKind
from templates_app.tags import Tag, blanked, find, unix

_NUMBER = "data-inline"
"""The attribute of the copy that numbers its tags."""


_NO_CSS = re.compile("<(?:!--)?|-->")
"""What begins or ends something of HTML, in <svg> also inside <style>."""


class CannotInline(Exception):
    """The styles could not be computed; the source is usable as it is."""


def inlined(source: str, css: str | None = None) -> str:
    """The source with the styles of its <style> tags (or of `css` instead of those) in its tags.

    A class that only a condition sets is left to <style>, and so is a <style> with template tags.
    Nothing is loaded from anywhere. Raises CannotInline, jinja2.TemplateSyntaxError.
    """
    source = unix(source)
    tags = find(source)
    copy = blanked(source, tags)
    if not (css or any(each.kind is Kind.RAW and each.name == "style" for each in read(copy))):
        return source
    if is_too_deep(copy):
        raise CannotInline("The elements are nested too deeply, or many are not closed.")
    shape = list(read(copy))
    elements = [each for each in shape if each.kind is Kind.OPEN]
    if css_work.steps(css or _written(shape), elements) > css_work.MAX_WORK:
        raise CannotInline("There are too many of them for so many elements.")
    opened = [_Opened(element, tags) for element in elements]
    styles = _styles(_numbered(copy, opened, tags, css is None), css)
    pieces, position = [], 0
    for number, one in enumerate(opened):
        place = one.place
        if place is None or not (style := styles.get(number)):
            continue
        pieces += [source[position : place.position], place.written(style)]
        position = place.position
    return "".join(pieces) + source[position:]


def _written(shape: Iterable[Element]) -> str:
    return "\n".join(each.text for each in shape if each.kind is Kind.RAW and each.name == "style")


class _Place:
    """Where in the source a tag's styles go: before those of its own, which win."""

    def __init__(self, position: int, *, own: bool) -> None:
        self.position = position
        self._own = own

    def written(self, style: str) -> str:
        escaped = html.escape(style.rstrip("; "))
        return f"{escaped}; " if self._own else f' style="{escaped}"'


class _Opened:
    """A start tag of the copy."""

    def __init__(self, element: Element, tags: Sequence[Tag]) -> None:
        self.element = element
        self._attributes = list(element.attributes())
        self._statements = [tag for tag in _within(tags, element) if tag.kind is TagKind.STATEMENT]

    @property
    def place(self) -> _Place | None:
        """None where a statement chooses among attributes: one more could be one too many."""
        if self._is_dynamic():
            return None
        for one in self._attributes:
            if one.name == "style":
                return _Place(one.start, own=True) if one.quoted else None
        return _Place(self.element.attributes_start, own=False)

    def copied(self, number: int) -> str:
        """The tag for the copy: numbered, without own styles and what statements decide."""
        text, start = self.element.text, self.element.start
        name = text[: self.element.attributes_start - start]
        if self._is_dynamic():
            return f'{name} {_NUMBER}="{number}">'
        kept = "".join(
            f' {one.name}="{html.escape(html.unescape(self._without_choices(one)))}"'
            for one in self._attributes
            if one.name != "style"
        )
        return f'{name} {_NUMBER}="{number}"{kept}>'

    def _is_dynamic(self) -> bool:
        return any(
            not any(_is_in(tag, one) for one in self._attributes) for tag in self._statements
        )

    def _without_choices(self, attribute: Attribute) -> str:
        """The value without what is between its first statement and its last."""
        inside = [tag for tag in self._statements if _is_in(tag, attribute)]
        if not inside:
            return attribute.value
        first, last = inside[0].start - attribute.start, inside[-1].end - attribute.start
        return attribute.value[:first] + "x" * (last - first) + attribute.value[last:]


def _is_in(tag: Tag, attribute: Attribute) -> bool:
    end = attribute.start + len(attribute.value)
    return attribute.quoted and attribute.start <= tag.start and tag.end <= end


def _within(tags: Sequence[Tag], element: Element) -> Iterator[Tag]:
    for place in range(bisect_left(tags, element.start, key=lambda tag: tag.start), len(tags)):
        if tags[place].start >= element.end:
            return
        yield tags[place]


def _numbered(copy: str, opened: Sequence[_Opened], tags: Sequence[Tag], with_styles: bool) -> str:
    """Without comments, scripts and the like, of which HTML has more ways to end than `read` knows:
    what is behind such an end is not counted by `is_too_deep`.
    """
    numbers = iter(range(len(opened)))
    pieces = []
    for element in read(copy):
        if element.kind is Kind.OPEN:
            number = next(numbers)
            leave_out = element.name == "link"  # a stylesheet from somewhere else
            pieces.append("" if leave_out else opened[number].copied(number))
        elif element.kind is Kind.RAW and element.name == "style":
            usable = with_styles and not any(_within(tags, element))
            pieces.append(_NO_CSS.sub(" ", element.text) if usable else "")
        elif element.kind in (Kind.TEXT, Kind.CLOSE):
            pieces.append(element.text)
    return "".join(pieces)


def _styles(copy: str, css: str | None) -> dict[int, str]:
    inliner = css_inline.CSSInliner(
        inline_style_tags=css is None,
        extra_css=css,
        keep_style_tags=False,
        load_remote_stylesheets=False,
    )
    try:
        with panics.caught():
            styled = inliner.inline(copy)
    except ValueError as error:  # css_inline.InlineError, and a panic
        raise CannotInline("The styles could not be read.") from error
    found: dict[int, str] = {}
    for element in read(styled):
        number = element.attribute(_NUMBER) if element.kind is Kind.OPEN else None
        if number is not None and (style := element.attribute("style")):
            found.setdefault(int(number), html.unescape(style))
    return found
