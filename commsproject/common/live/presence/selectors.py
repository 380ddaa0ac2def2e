"""What other code may ask: who looks at what just now. Where Valkey is away nobody
knows, and nobody is said to be: presence only ever spares a message, it never costs one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from commsproject.common import valkey
from commsproject.common.live.presence import store
from commsproject.common.live.presence.store import Doing, State


def looking_at(feed: str, key: str, user_ids: Collection[str]) -> set[str]:
    """Those whose active client shows this key of this feed."""
    shown = Doing(State.ACTIVE, feed, key)
    return {user_id for user_id, does in _read(user_ids).items() if shown in does}


def looking_at_own(feed: str, user_ids: Collection[str]) -> set[str]:
    """As `looking_at`, of a feed that each person has one of, such as the inbox."""
    return {
        user_id
        for user_id, does in _read(user_ids).items()
        if Doing(State.ACTIVE, feed, user_id) in does
    }


def _read(user_ids: Collection[str]) -> Mapping[str, Collection[Doing]]:
    """What the sockets of each do."""
    try:
        found = store.read(store.users(user_ids))
    except valkey.Away:
        return {}
    return {person.id: does for person, does in found.items()}
