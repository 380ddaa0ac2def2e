"""Each app says in `ready()` how it tells, erases and forgets what it knows of people.

All of it goes in steps of about a tenth of a second: a step is one transaction together with the
note of how far the work has come, so that a kill costs nothing and nothing is done twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

Row = Mapping[str, Any]
"""What the export says of one thing: JSON values, and dates, UUIDs and decimals."""

Name = tuple[str, str]
"""A kind and a value by which rows know a person: `("email", "ada@example.com")`."""

STEP_ROWS = 5000
"""Rows that one step deletes or rewrites, about."""

PAGE_ROWS = 500
"""Rows that one step tells."""


@dataclass(frozen=True, repr=False)
class Person:
    """Whom it is about. `names` were gathered at the start and stay the same to the end, while the
    rows they came from go.
    """

    user_id: str
    names: Sequence[Name] = ()

    def named(self, *kinds: str) -> list[str]:
        return [value for kind, value in self.names if kind in kinds]


@dataclass(frozen=True, repr=False)
class Page:
    """Rows of an export. `after` is given to the next call; empty: that was all."""

    rows: Sequence[Row]
    after: str = ""


@dataclass(frozen=True)
class Erased:
    """What one step erased. `after` is given to the next call, which comes no sooner than `wait`;
    empty: nothing is left.
    """

    rows: int = 0
    after: str = ""
    wait: timedelta = timedelta(0)


Export = Callable[[Person, str], Page]
Erase = Callable[[Person, str], Erased]
"""The person, and the `after` of the step before: empty in the first. One that fails is repeated."""


@dataclass(frozen=True)
class Gone:
    """What one step let go, and whether anything may be left."""

    rows: int
    is_more: bool


@dataclass(frozen=True)
class Purge:
    """What of one table is too old. Each step is a transaction of its own."""

    what: str
    why: str
    count: Callable[[datetime], int]
    """How many rows would go now."""
    step: Callable[[datetime], Gone]
    """Let about `STEP_ROWS` of them go."""


@dataclass(frozen=True)
class Holder:
    """An app that knows something of people."""

    name: str
    names: Callable[[str], Iterable[Name]] = lambda _user_id: ()
    """By what else its rows know this person; nothing where it does not know them."""
    exports: Mapping[str, Export] = field(default_factory=dict)
    """By what is told: `messages`."""
    erasures: Mapping[str, Erase] = field(default_factory=dict)
    """By what is erased, in this order: `messages`."""
    purges: Sequence[Purge] = ()


_holders: dict[str, Holder] = {}


def register(holder: Holder) -> None:
    _holders[holder.name] = holder


def names(user_id: str) -> list[Name]:
    """All names of a person; empty where nobody knows them."""
    return [name for holder in _holders.values() for name in holder.names(user_id)]


def exports() -> dict[str, Export]:
    """The lowest app first: who the person is, then what happened."""
    return {kind: one for holder in _holders.values() for kind, one in holder.exports.items()}


def erasures() -> dict[str, Erase]:
    """The highest app first: it finds its rows by those of the apps below."""
    return {
        kind: one for holder in reversed(_holders.values()) for kind, one in holder.erasures.items()
    }


def purges() -> Iterator[Purge]:
    """The highest app first, likewise."""
    for holder in reversed(_holders.values()):
        yield from holder.purges


def digest(user_id: str) -> str:
    """64 hex digits that stand for a person whose user id must not be kept."""
    key = settings.ADDRESS_HASH_KEY.encode()
    return hmac.new(key, f"user:{user_id}".encode(), hashlib.sha256).hexdigest()


def pseudonym(user_id: str) -> str:
    """Who they are for others who have spoken with them, once they are erased."""
    return f"erased-{digest(user_id)[:16]}"
