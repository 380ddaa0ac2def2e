"""What to look for, from what people type."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LAST = re.compile(r"(?:^|\s)(\w+)$")
SHORTEST = 2
"""Letters of a word that is begun: an index of what people write has too many words of one letter."""


@dataclass(frozen=True)
class Terms:
    """`said` in the words of `websearch_to_tsquery`: all of them, "phrases", -without, or. `begun`
    is the last word where it may not be typed to its end.
    """

    said: str
    begun: str = ""


def parse(asked: str, shortest: int = SHORTEST) -> Terms:
    """Of `asked`, whose last word may go on unless it is quoted or a space follows."""
    is_open = asked.count('"') % 2 == 0
    found = _LAST.search(asked) if is_open else None
    if found is None or len(found[1]) < shortest or found[1].lower() == "or":
        return Terms(asked)
    before = asked[: found.start()]
    if before.lower().endswith(" or"):  # `tea or coffee`: either, as they are
        return Terms(asked)
    return Terms(before, found[1])
