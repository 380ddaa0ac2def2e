"""What to look for, from what people type."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LAST = re.compile(r"(?:^|\s)(\w{2,})$")


@dataclass(frozen=True)
class Terms:
    """`said` in the words of `websearch_to_tsquery`: all of them, "phrases", -without, or. `begun`
    is the last word where it may not be typed to its end.
    """

    said: str
    begun: str = ""


def parse(asked: str) -> Terms:
    """Of `asked`, whose last word may go on unless it is quoted or a space follows."""
    is_open = asked.count('"') % 2 == 0
    found = _LAST.search(asked) if is_open else None
    if found is None or found[1].lower() == "or":
        return Terms(asked)
    before = asked[: found.start()]
    if before.lower().endswith(" or"):  # `tea or coffee`: either, as they are
        return Terms(asked)
    return Terms(before, found[1])
