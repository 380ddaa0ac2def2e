"""Text messages: how many segments a text takes, what makes it take fewer, what it costs.

A segment holds 160 characters of the GSM alphabet (3GPP TS 23.038), or 70 UTF-16 units where a
single character is not of it; a part of a longer text 153 or 67, as its header needs room. Vendors
bill by the segment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from django.conf import settings

from notifications import prices
from notifications.models import Category

LongText = Category.LongText

MOST = 10
"""Segments that a text may take in any case: vendors take no more than 1,600 characters."""

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENDED = "\f^{}\\[~]|€"
"""Of the same alphabet, written as two: escape and character, which no part may separate."""


class Encoding(Enum):
    """How a text is written. `single`: units in the only segment; `part`: in one of several."""

    GSM7 = ("gsm7", 160, 153, "...")
    UCS2 = ("ucs2", 70, 67, "…")

    def __init__(self, label: str, single: int, part: int, ellipsis: str) -> None:
        self.label = label
        self.single = single
        self.part = part
        self.ellipsis = ellipsis


@dataclass(frozen=True, repr=False)
class Fitted:
    """A text as it goes out."""

    text: str
    encoding: Encoding
    segments: int


class TooLong(Exception):
    """A text of `segments` segments where `most` are allowed."""

    def __init__(self, segments: int, most: int) -> None:
        super().__init__(f"The text takes {segments} segments; {most} are allowed.")
        self.segments = segments
        self.most = most


def fit(text: str, long_text: str = LongText.SPLIT) -> Fitted:
    """`text` in the alphabet that takes fewest segments, and cut where `long_text`, the rule of its
    category, says so.

    Raises `TooLong`.
    """
    text = _plain(text)
    encoding, segments = count(text)
    if segments <= 1:
        return Fitted(text, encoding, segments)
    if long_text == LongText.TRUNCATE:
        return _cut(text)
    most = 1 if long_text == LongText.REFUSE else MOST
    if segments > most:
        raise TooLong(segments, most)
    return Fitted(text, encoding, segments)


def count(text: str) -> tuple[Encoding, int]:
    """The encoding of `text` and its segments, none for no text.

    What is seen as one character stays in one part, as far as a part can hold it.
    """
    encoding = Encoding.GSM7 if _is_gsm7(text) else Encoding.UCS2
    if _units(encoding, text) <= encoding.single:
        return encoding, 1 if text else 0
    parts, used = 1, 0
    for piece in _pieces(encoding, text):
        units = _units(encoding, piece)
        if used + units > encoding.part:
            parts, used = parts + 1, 0
        used += units
    return encoding, parts


def price(country: str, segments: int, provider: str = "") -> Decimal | None:
    """What `segments` to a number of `country` cost: by the provider's own prices, where it is known
    and has any, else by SMS_PRICES; None where neither names one.
    """
    each = prices.of(provider, country)
    if each is None:
        each = settings.SMS_PRICES.get(country, settings.SMS_PRICES.get("*"))
    return None if each is None else each * segments


# --- The alphabet ------------------------------------------------------------------------------

_is_gsm7 = re.compile(f"[{re.escape(GSM7 + GSM7_EXTENDED)}]*").fullmatch
_extended = re.compile(f"[{re.escape(GSM7_EXTENDED)}]").findall

_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4\u02bc\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\uff02", '"'),
        **dict.fromkeys("\u2039", "<"),
        **dict.fromkeys("\u203a", ">"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\t\u00a0\u202f\u205f\u3000", " "),
        **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
        **dict.fromkeys("\u2028\u2029", "\n"),
        **dict.fromkeys("\u200b\u2060\ufeff", ""),
        "\u00ad": "",
        "\u2026": "...",
        "\u2022": "*",
        "\u00b7": ".",
        "\u2044": "/",
    }
)
"""What word processors put in the place of characters that everybody can read on the telephone.
Letters are left alone: `á` is not `a`.
"""


def _plain(text: str) -> str:
    """With its look-alikes replaced, if that makes all of it GSM; otherwise as it is."""
    if _is_gsm7(text):
        return text
    replaced = _replaced(text)
    return replaced if _is_gsm7(replaced) else text


def _replaced(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_LOOK_ALIKES)


def _units(encoding: Encoding, text: str) -> int:
    if encoding is Encoding.GSM7:
        return len(text) + len(_extended(text))
    return len(text) + sum(char > "\uffff" for char in text)


def _pieces(encoding: Encoding, text: str) -> Iterable[str]:
    """What must not be torn apart; a cluster that is longer than a part has to be."""
    if encoding is Encoding.GSM7:
        return text
    return (
        piece
        for cluster in clusters(text)
        for piece in ([cluster] if _units(encoding, cluster) <= encoding.part else cluster)
    )


_JOINER = "\u200d"
_MODIFIERS = frozenset(map(chr, [*range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080)]))
_FLAGS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))


def clusters(text: str) -> Sequence[str]:
    """The characters as people see them: letters with their marks, emoji with all that shapes them
    (the part of Unicode's annex 29 that messages need).
    """
    found: list[str] = []
    for char in text:
        if found and _belongs(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _belongs(cluster: str, char: str) -> bool:
    if cluster.endswith(_JOINER):
        return True
    return char >= "\u0300" and (
        char == _JOINER
        or char in _MODIFIERS
        or (char in _FLAGS and len(cluster) == 1 and cluster in _FLAGS)
        or unicodedata.category(char).startswith("M")
    )


def _cut(text: str) -> Fitted:
    """As much of `text` as one segment holds with an ellipsis: in GSM as far as it is that, or in
    UCS-2, whichever is more.
    """
    tries = [(Encoding.GSM7, _replaced(text)), (Encoding.UCS2, text)]
    heads = [(encoding, _head(encoding, whole)) for encoding, whole in tries]
    encoding, head = max(heads, key=lambda found: len(found[1]))
    return Fitted(head.rstrip() + encoding.ellipsis, encoding, 1)


def _head(encoding: Encoding, text: str) -> str:
    """The longest beginning that leaves room for the ellipsis."""
    room = encoding.single - len(encoding.ellipsis)
    head: list[str] = []
    for piece in clusters(text[: room + encoding.single]):
        room -= _units(encoding, piece)
        if room < 0 or (encoding is Encoding.GSM7 and not _is_gsm7(piece)):
            break
        head.append(piece)
    return "".join(head)
