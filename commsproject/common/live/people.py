"""Who is at the other end of a socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    USER = "user"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Person:
    """An end user by the identity service's `user_id`, or staff by the primary key as text."""

    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of a person. `id` is ours, and as good as random to others."""

    id: str
    person: Person
