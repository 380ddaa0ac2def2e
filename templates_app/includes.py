"""Partials and layouts, put into a source as text before anything else is done with it.

`{% include "key" %}` stands for the same part of a partial, `{{ content }}` in a layout for the
message. What was put in is pinned: a version never changes when a partial does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

import jinja2

from templates_app import locales
from templates_app.errors import TemplateSyntaxError
from templates_app.models import Kind, TemplateVersion
from templates_app.tags import Kind as TagKind
from templates_app.tags import Tag, find, place, replaced, unix

Library = Mapping[str, TemplateVersion]
"""Published layouts and partials by their keys."""

MAX_DEPTH = 5
"""Partials inside each other."""
MAX_EXPANDED = 262_144
"""Characters of one part with all that was put in."""

_INCLUDE = re.compile(r"""\s*\{%[-+]?\s*include\s+(?:"([^"\\]*)"|'([^'\\]*)')\s*[-+]?%\}\s*""")
_CONTENT = re.compile(r"\s*\{\{[-+]?\s*content\s*[-+]?\}\}\s*")


def named(source: str) -> set[str]:
    """The keys of the partials it names; none where it is not a template."""
    try:
        found = [_INCLUDE.fullmatch(tag.text) for tag in _includes(unix(source))]
    except jinja2.TemplateSyntaxError:
        return set()
    return {each[1] or each[2] or "" for each in found if each}


def without(source: str) -> str:
    """The source as it is without its partials; everything else keeps its line and column.

    Raises jinja2.TemplateSyntaxError.
    """
    source = unix(source)
    return replaced(source, _includes(source), lambda tag: re.sub(r"[^\n]", " ", tag.text))


def slots(layout: str) -> int:
    """How often a part of a layout says `{{ content }}`. Raises jinja2.TemplateSyntaxError."""
    return len(_slots(unix(layout)))


def wrapped(layout: str, content: str) -> str:
    """The content inside the layout. Raises jinja2.TemplateSyntaxError."""
    layout = unix(layout)
    return replaced(layout, _slots(layout), lambda _: content)


def _slots(layout: str) -> list[Tag]:
    return [
        tag for tag in find(layout) if tag.kind is TagKind.VALUE and _CONTENT.fullmatch(tag.text)
    ]


def _includes(source: str) -> list[Tag]:
    return [tag for tag in find(source) if tag.word == "include"]


class Expansion:
    """Puts partials into the parts of one version; `pins` are the versions that were used."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.pins: dict[str, int] = {}

    def layout(self, key: str) -> TemplateVersion | None:
        """The layout, pinned; None where there is none."""
        return self._pinned(key, Kind.LAYOUT)

    def expanded(self, source: str, *, channel: str, part: str, locale: str) -> str:
        """The source with its partials.

        Raises TemplateSyntaxError (line and column are those of `source`), jinja2.TemplateSyntaxError.
        """
        return self._expanded(source, channel, part, locale, ())

    def _expanded(
        self, source: str, channel: str, part: str, locale: str, trail: tuple[str, ...]
    ) -> str:
        source = unix(source)
        pieces, position, size = [], 0, len(source)
        for tag in _includes(source):
            try:
                text = self._partial(tag, channel, part, locale, trail)
            except _Refused as error:
                line, column = place(source, tag.start)
                if trail:  # the author sees only the outermost source
                    raise
                raise TemplateSyntaxError(str(error), part=part, line=line, column=column) from None
            size += len(text)
            if size > MAX_EXPANDED:
                _too_large(part, trail)
            pieces += [source[position : tag.start], text]
            position = tag.end
        return "".join(pieces) + source[position:]

    def _partial(
        self, tag: Tag, channel: str, part: str, locale: str, trail: tuple[str, ...]
    ) -> str:
        found = _INCLUDE.fullmatch(tag.text)
        if found is None:
            raise _Refused('`include` takes one key as a text: {% include "footer" %}.')
        key = found[1] or found[2] or ""
        if key in trail:
            raise _Refused(f"The partial {key!r} includes itself.")
        if len(trail) >= MAX_DEPTH:
            raise _Refused(f"Partials are inside each other deeper than {MAX_DEPTH} levels.")
        version = self._pinned(key, Kind.PARTIAL)
        if version is None:
            raise _Refused(f"There is no published partial {key[:100]!r}.")
        parts = sources(version, locale).get(channel, {})
        text = parts.get(part)
        if text is None:
            raise _Refused(f"The partial {key!r} has no {part} for {channel}.")
        return self._expanded(text, channel, part, locale, (*trail, key))

    def _pinned(self, key: str, kind: Kind) -> TemplateVersion | None:
        version = self._library.get(key)
        if version is None or version.template.kind != kind:
            return None
        self.pins[key] = version.number
        return version


def sources(version: TemplateVersion, locale: str) -> locales.Channels:
    """What its author wrote for a reader of `locale`."""
    return locales.content(locale, version.locale, version.channels, version.translations)


def keys(version: TemplateVersion) -> set[str]:
    """Of every partial and layout that the version itself names."""
    found = {version.layout} if version.layout else set()
    for channels in (version.channels, *version.translations.values()):
        for source in _all_sources(channels):
            found |= named(source)
    return found


def _all_sources(channels: locales.Channels) -> Iterable[str]:
    return (source for parts in channels.values() for source in parts.values())


class _Refused(Exception):
    """An include that cannot be: the sentence for the author."""


def _too_large(part: str, trail: tuple[str, ...]) -> NoReturn:
    message = f"With its partials the part is longer than {MAX_EXPANDED} characters."
    if trail:
        raise _Refused(message)
    raise TemplateSyntaxError(message, part=part, line=1, column=1)
