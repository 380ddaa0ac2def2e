"""What an emoji is, as far as that can be told without Unicode's own list: one sign, and what it
is changed with (Unicode TR 51, 1.4.9). Text is none.
"""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 64
"""Characters. The longest there are, of families, have about 15."""

_JOINER = "\u200d"
_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")
_LETTERS = "\U0001f1e6-\U0001f1ff"
"""Two of them are a country's flag, one is nothing."""

_FLAG = re.compile(f"[{_LETTERS}]{{2}}")
_SIGN = re.compile(f"[^\0-\x7f{_LETTERS}]")
_CHANGES = re.compile("\ufe0f?[\U0001f3fb-\U0001f3ff]?\ufe0f?[\U000e0020-\U000e007f]*")
"""As a picture, a colour of skin, the tags of a region's flag."""

_OTHERS = frozenset("\u203c\u2049\u2139\u3030")
"""Emoji that Unicode counts as punctuation or letters."""


def is_one(text: str) -> bool:
    if len(text) > MAX_LENGTH:
        return False
    if _KEYCAP.fullmatch(text) or _FLAG.fullmatch(text):
        return True
    return all(_is_picture(part) for part in text.split(_JOINER))


def _is_picture(part: str) -> bool:
    first, changes = part[:1], part[1:]
    if _SIGN.fullmatch(first) is None:
        return False
    is_sign = first in _OTHERS or unicodedata.category(first) in {"So", "Sm"}
    return is_sign and _CHANGES.fullmatch(changes) is not None
