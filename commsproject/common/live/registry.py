"""What apps give to the socket, in `ready()`: feeds, commands, relays, and who may watch whom.

Every function here is plain and synchronous. Those that ask PostgreSQL are called on the threads of
a small pool, never on the event loop, many keys at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from typing_extensions import override

from commsproject.common.live.frames import ClientFrame, ServerFrame
from commsproject.common.live.people import Person, Session

Wish = tuple[Person, str]
"""A person and the key of a feed that the person wants to follow."""


class Feed(ABC):
    """Sequences of frames in PostgreSQL, one for each key, dense: 1, 2, 3 ...

    A client follows keys from the last seq it has; it gets each frame after that once, in order.
    The number must be taken in the transaction that writes the frame's row, under a lock (`UPDATE ...
    SET last_seq = last_seq + 1 RETURNING`): an identity column commits out of order.
    """

    name: ClassVar[str]
    """The field of `subscribe` and `heads`: `conversations`."""

    frames: ClassVar[Sequence[ServerFrame]]
    """What `read` may return."""

    passing: ClassVar[Sequence[ServerFrame]] = ()
    """What `publish.ephemeral` may tell its followers. It comes through the broker, and whoever can
    write there can forge it: ids and times, and nothing that a client shows as somebody's words.
    """

    @abstractmethod
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        """Those of `wishes` that are allowed, each with the seq after which the person may read:
        0 for everything, the last one before joining for who may not see what was before.

        Asked when a key is subscribed to, before each delivery, and once a minute. One query.
        """

    @abstractmethod
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        """The last seq of each key, by one query; 0 or no entry where there is nothing yet."""

    @abstractmethod
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        """(key, seq, frame) of the first `limit` after each key's seq, ascending within a key.

        By one query. The frame is what followers get: the same for all, but for `for_people`. Where
        rows are gone (retention), the next that is there comes first, and followers before the hole
        are told to `resync`.
        """

    def for_people(self, frame: Mapping[str, Any]) -> Mapping[str, Any]:
        """What end users get in the place of a frame of `read`, under the same seq: the frame itself
        unless it holds what only staff may see.
        """
        return frame


class OwnFeed(Feed):
    """A feed of which each person has one, named by nobody: `"inbox": 17` in `subscribe`."""

    @abstractmethod
    def key(self, person: Person) -> str | None:
        """The person's own; None for who has none."""

    @override
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        return {(person, key): 0 for person, key in wishes if self.key(person) == key}


@dataclass(frozen=True)
class Command:
    """A client frame and what it does.

    `handle` gets the session and the checked frame and returns the fields of the `ack` (None: a bare
    one). It may raise any CommsError, which becomes an `error` frame; it authorises by itself. Frames
    of one socket are handled one after the other; several sockets' at once.
    """

    frame: ClientFrame
    handle: Callable[[Session, Mapping[str, Any]], Mapping[str, Any] | None]
    answers: Mapping[str, Any] | None = None
    """JSON Schemas of the fields that `handle` returns."""


@dataclass(frozen=True)
class Relay:
    """A client frame that goes to the other followers of a key without touching PostgreSQL.

    Only from a socket that follows the key which stands in `field`, at most once in `every` seconds
    (more are dropped). `make` gives the frame that the others get, one of `gives`: never content,
    only ids.
    """

    frame: ClientFrame
    gives: ServerFrame
    feed: str
    field: str
    make: Callable[[Session, Mapping[str, Any]], Mapping[str, Any]]
    every: float = 1.0


WatchPolicy = Callable[[Person, Collection[str]], Collection[str]]
"""Of the user ids, those whose presence the person may see."""

feeds: dict[str, Feed] = {}
commands: dict[str, Command] = {}
relays: dict[str, Relay] = {}
watch_policies: list[WatchPolicy] = []


def add_feed(feed: Feed) -> None:
    _add(feeds, feed.name, feed)


def add_command(command: Command) -> None:
    _add(commands, command.frame.type, command)


def add_relay(relay: Relay) -> None:
    _add(relays, relay.frame.type, relay)


def passing(feed: Feed) -> Mapping[str, ServerFrame]:
    """By type, the frames for the followers of a feed that come through the broker as they are."""
    relayed = [relay.gives for relay in relays.values() if relay.feed == feed.name]
    return {frame.type: frame for frame in (*feed.passing, *relayed)}


def add_watch_policy(policy: WatchPolicy) -> None:
    """A person may watch whom any of the policies allows."""
    watch_policies.append(policy)


def _add(register: dict[str, Any], name: str, entry: object) -> None:
    if name in register:
        raise ImproperlyConfigured(f"{name} is registered twice with the socket.")
    register[name] = entry
