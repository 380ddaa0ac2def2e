"""Who is connected, and what each connection does, in Valkey. All of it is written anew with every
heartbeat, so a broker that forgot knows again soon, and a process that died is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.commands.core import Script

from commsproject.common import valkey
from commsproject.common.live.people import Kind, Person

_BEATS = 3
"""Heartbeats that a connection lasts without a sign of life."""


class State(StrEnum):
    ACTIVE = "active"
    AWAY = "away"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Doing:
    """What one connection says: whether its person is active, and at which key of which feed."""

    state: State = State.ACTIVE
    feed: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Of one connection: what it did and does now. None: nothing yet, or no more."""

    person: Person
    connection: str
    before: Doing | None
    after: Doing | None


def write(changes: Sequence[Change]) -> None:
    """Raises `valkey.Away`."""
    keys, values = [], []
    for change in changes:
        keys.append(_name(change.person))
        values += [
            _member(change.connection, change.before),
            _member(change.connection, change.after),
        ]
    lasts = round(_BEATS * settings.LIVE_HEARTBEAT_SECONDS * 1000)
    _run(keys, ["write", lasts, *values])


def read(people: Collection[Person]) -> dict[Person, list[Doing]]:
    """What the connections of each of them do. Raises `valkey.Away`."""
    ordered = list(people)
    if not ordered:
        return {}
    found = _run([_name(person) for person in ordered], ["read"])
    return {
        person: [Doing(State(state), feed, key) for _, state, feed, key in map(json.loads, members)]
        for person, members in zip(ordered, found, strict=True)
    }


def states(people: Collection[Person]) -> Mapping[Person, State]:
    """Raises `valkey.Away`."""
    return {person: _most([one.state for one in does]) for person, does in read(people).items()}


def forget(people: Collection[Person]) -> None:
    """Raises `valkey.Away`."""
    keys = [_name(person) for person in people]
    valkey.ask(lambda client: client.delete(*keys), what="presence")


def users(user_ids: Collection[str]) -> list[Person]:
    return [Person(Kind.USER, user_id) for user_id in user_ids]


def _most(states: Collection[State]) -> State:
    """A person with a phone in the pocket and a page in use is active."""
    return next((one for one in State if one in states), State.OFFLINE)


def _name(person: Person) -> str:
    return f"comms:presence:{person.kind}:{person.id}"


def _member(connection: str, doing: Doing | None) -> str:
    return json.dumps([connection, doing.state, doing.feed, doing.key]) if doing else ""


@cache
def _script() -> Script:
    return redis.Redis().register_script(Path(__file__).with_name("presence.lua").read_text())


def _run(keys: Sequence[str], values: Sequence[Any]) -> Any:
    return valkey.ask(
        lambda client: _script()(keys=keys, args=values, client=client), what="presence"
    )
