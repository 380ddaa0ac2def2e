"""For whom a part is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

NullIs = Literal["empty", "error"]
"""What null does where it would be printed: nothing, or refuse the message."""

DEFAULT_LOCALE = "en"
_MAX_NAME = 64


class Reader(NamedTuple):
    """Who reads a message: the language they want, and where their clock is; "" is not known."""

    locale: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """The reader's language and time zone, and what the template says of null.

    `locale` is a tag such as `pt-BR`; one that is not known counts as its language alone, else as
    English. `time_zone` is a name of the IANA database; without one a time stays as it was given.
    """

    locale: str = DEFAULT_LOCALE
    time_zone: str = ""
    null_is: NullIs = "empty"

    @classmethod
    def of(
        cls, written: str, wanted: str, time_zone: str = "", null_is: NullIs = "empty"
    ) -> Manner:
        """For a text `written` in one language, and a reader who `wanted` perhaps another.

        Words of dates have to be of the text's language; its region is the reader's to choose.
        """
        is_same = _subtags(written)[0] == _subtags(wanted)[0]
        return cls((wanted if is_same else written) or wanted or DEFAULT_LOCALE, time_zone, null_is)

    @property
    def language(self) -> Locale:
        return language(self.locale)

    @property
    def zone(self) -> tzinfo | None:
        """None where it is not known."""
        return _zone(self.time_zone) if self.time_zone else None


PLAIN = Manner()


@lru_cache(maxsize=512)
def language(tag: str) -> Locale:
    """What is known of the language: of the tag, of its first subtag, or English."""
    for known in (tag, _subtags(tag)[0]):
        try:
            return Locale.parse("_".join(_subtags(known[:_MAX_NAME])))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(DEFAULT_LOCALE)


@lru_cache(maxsize=512)
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name[:_MAX_NAME])
    except (KeyError, OSError, ValueError):  # not known, a folder, a path
        return None


def _subtags(tag: str) -> list[str]:
    return tag.lower().replace("_", "-").split("-")
