"""What differs between two versions of a template, part by part."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from templates_app.models import TemplateVersion

MAX_COMPARED = 1_000_000
"""Pairs of lines that are compared, of what does not begin alike: difflib takes a minute for two
texts of 20,000 lines that an enemy has written (measured). Beyond that all of it counts as new.
"""


@dataclass(frozen=True)
class Change:
    """One part that differs. `locale` is "" for the version's own language, `lines` are those of a
    unified diff without its two head lines: `@@ -1,2 +1,2 @@`, ` same`, `-before`, `+after`.

    What belongs to no part has an empty channel: `layout`, `locale`.
    """

    locale: str
    channel: str
    part: str
    lines: Sequence[str]


def diff(before: TemplateVersion, after: TemplateVersion, context: int = 3) -> list[Change]:
    """The changes from one version to another as they were written, in a stable order."""
    old, new = _sources(before), _sources(after)
    return [
        Change(*place, lines)
        for place in sorted(old.keys() | new.keys())
        if (lines := _lines(old.get(place, ""), new.get(place, ""), context))
    ]


_Place = tuple[str, str, str]


def _sources(version: TemplateVersion) -> Mapping[_Place, str]:
    return dict(_places(version))


def _places(version: TemplateVersion) -> Iterator[tuple[_Place, str]]:
    yield ("", "", "layout"), version.layout
    yield ("", "", "locale"), version.locale
    for locale, channels in {"": version.channels, **version.translations}.items():
        for channel, parts in channels.items():
            for part, source in parts.items():
                yield (locale, channel, part), source


def _lines(before: str, after: str, context: int) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    if (len(old) - same) * (len(new) - same) <= MAX_COMPARED:
        return list(difflib.unified_diff(old, new, n=context, lineterm=""))[2:]
    gone, come = old[same:], new[same:]
    head = f"@@ -{same + 1},{len(gone)} +{same + 1},{len(come)} @@"
    return [head, *(f"-{line}" for line in gone), *(f"+{line}" for line in come)]
