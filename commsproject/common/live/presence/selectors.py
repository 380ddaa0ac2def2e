"""What other code may ask: who is there just now, and who looks at what. Where Valkey is away nobody
knows, and nobody is said to be: presence only ever spares a message, it never costs one.
"""

from __future__ import annotations

from collections.abc import Collection

from commsproject.common import valkey
from commsproject.common.live.presence import store
from commsproject.common.live.presence.store import State


def online(user_ids: Collection[str]) -> set[str]:
    """Those with an open socket."""
    try:
        found = store.states(store.users(user_ids))
    except valkey.Away:
        return set()
    return {person.id for person, state in found.items() if state is not State.OFFLINE}


def looking_at(feed: str, key: str, user_ids: Collection[str]) -> set[str]:
    """Those whose active client shows this key of this feed."""
    try:
        found = store.read(store.users(user_ids))
    except valkey.Away:
        return set()
    shown = store.Doing(State.ACTIVE, feed, key)
    return {person.id for person, does in found.items() if shown in does}


def looking_at_own(feed: str, user_ids: Collection[str]) -> set[str]:
    """As `looking_at`, of a feed that each person has one of, such as the inbox."""
    try:
        found = store.read(store.users(user_ids))
    except valkey.Away:
        return set()
    return {
        person.id
        for person, does in found.items()
        if store.Doing(State.ACTIVE, feed, person.id) in does
    }
