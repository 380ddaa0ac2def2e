"""The presence of this process's connections, told to Valkey; and that of others, told to those of
our sockets that watch them.

Whoever watches is told at once that somebody has come, and a while later that somebody has gone: a
page that is loaded anew should not be seen to blink.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings

from commsproject.common import valkey
from commsproject.common.live import database, publish, registry, wire
from commsproject.common.live.frames import MOMENT, USER_ID, ClientFrame, Schema, ServerFrame
from commsproject.common.live.limits import MOST_KEYS
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.presence import last_seen, store
from commsproject.common.live.presence.store import Change, Doing, State
from commsproject.common.live.registry import Feed
from commsproject.common.live.sockets import Socket
from commsproject.common.live.topics import Message

log = structlog.get_logger(__name__)

TOGETHER_SECONDS = 0.2
"""Changes of so long are written together."""

GONE_SECONDS = 5.0
"""Somebody must have been gone, or away, so long to be told of."""

_NOTE_SECONDS = 300.0
_AT_ONCE = 500
_BEATS_AT_ONCE = 50

_STATE: Schema = {"enum": [state.value for state in State]}

PRESENCE = ServerFrame(
    "presence",
    "The state of somebody whom this connection watches. `last_seen` only of who is offline and does"
    " not hide it.",
    {"user_id": USER_ID, "state": _STATE, "last_seen": MOMENT},
    {
        "type": "presence",
        "user_id": "u-1042",
        "state": "offline",
        "last_seen": "2026-11-22T09:30:00+00:00",
    },
    optional={"last_seen"},
)


def client_frames() -> tuple[ClientFrame, ...]:
    places = wire.keys()
    return (
        ClientFrame(
            "presence",
            "What the person does at this connection, after `hello` active: whether the page is in"
            " use, and which followed key it shows, so that nobody is mailed what they look at.",
            {
                "state": {"enum": [State.ACTIVE.value, State.AWAY.value]},
                "looking_at": {
                    "type": "object",
                    "properties": places,
                    "additionalProperties": False,
                    "maxProperties": 1,
                },
            },
            {"type": "presence", "state": "away"},
            optional={"looking_at"},
        ),
        ClientFrame(
            "presence.watch",
            "Be told of the presence of these people, and of nobody else any more. The `ack` lists"
            " those who may not be watched. A `presence` frame for each of the others follows.",
            {"users": {"type": "array", "items": USER_ID, "maxItems": MOST_KEYS}},
            {"type": "presence.watch", "id": "3", "users": ["u-1042"]},
        ),
    )


def doing(state: str, place: tuple[Feed, str] | None) -> Doing:
    feed, key = (place[0].name, place[1]) if place else ("", "")
    return Doing(State(state), feed, key)


class Presence:
    """Of the sockets of one hub. Runs on its event loop; Valkey is asked on a thread."""

    def __init__(self, sockets: Mapping[str, Socket]) -> None:
        self._sockets = sockets
        self._does: dict[Socket, Doing] = {}
        self._changes: list[Change] = []
        self._watchers: dict[str, set[Socket]] = defaultdict(set)
        self._known: dict[str, State] = {}
        self._going: dict[str, float] = {}
        """Who seems to have gone, and when that is to be told."""
        self._look_at: set[str] = set()
        self._work = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "live-presence")

    # --- Our own connections

    def set(self, socket: Socket, doing: Doing | None) -> None:
        """What `socket` does now; None where it is closed."""
        before = self._does.pop(socket, None)
        if doing is not None:
            self._does[socket] = doing
        if before != doing:
            self._changes.append(Change(socket.person, socket.session.id, before, doing))
            self._work.set()

    def leave(self, socket: Socket) -> None:
        self._unwatch(socket)
        self.set(socket, None)

    # --- Others

    async def watch(self, socket: Socket, user_ids: frozenset[str]) -> dict[str, Any]:
        """Let `socket` watch those of the users that it may. Raises the database's errors."""
        allowed = await database.run(_allowed, socket.person, user_ids)
        self._unwatch(socket)
        if socket.session.id not in self._sockets:
            return {}
        socket.watches = frozenset(allowed)
        for user_id in allowed:
            self._watchers[user_id].add(socket)
        found = await self._states(allowed)
        seen = await _seen(found)
        for user_id, state in found.items():
            self._known.setdefault(user_id, state)
            socket.tell(_frame(user_id, state, seen))
        return {"refused": sorted(user_ids - allowed)}

    def take(self, user_id: str) -> None:
        """A note that the presence of somebody has changed."""
        if user_id in self._watchers:
            self._look_at.add(user_id)
            self._work.set()

    async def check(self) -> None:
        """Let go of who may no longer be watched."""
        for socket in [one for one in self._sockets.values() if one.watches]:
            allowed = await database.run(_allowed, socket.person, socket.watches)
            for user_id in socket.watches - allowed:
                self._drop(socket, user_id)
            socket.watches &= allowed

    def _unwatch(self, socket: Socket) -> None:
        for user_id in socket.watches:
            self._drop(socket, user_id)
        socket.watches = frozenset()

    def _drop(self, socket: Socket, user_id: str) -> None:
        watchers = self._watchers[user_id]
        watchers.discard(socket)
        if not watchers:
            del self._watchers[user_id]
            self._known.pop(user_id, None)
            self._going.pop(user_id, None)

    # --- The loops

    async def keep(self) -> None:
        """Tell what changes here, and what changed elsewhere."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next_going()):
                    await self._work.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            self._work.clear()
            try:
                await self._write()
                await self._tell()
            except Exception:
                log.exception("presence is not told")

    async def beat(self) -> None:
        """Every heartbeat: say all of it anew and look at everybody who is watched, a few at a time."""
        while True:
            sockets, watched = list(self._does), list(self._watchers)
            turns = max(1, len(sockets) // _BEATS_AT_ONCE, len(watched) // _BEATS_AT_ONCE)
            for turn in range(turns):
                await asyncio.sleep(settings.LIVE_HEARTBEAT_SECONDS / turns)
                self._changes += [
                    Change(socket.person, socket.session.id, does, does)
                    for socket in sockets[turn::turns]
                    if (does := self._does.get(socket)) is not None
                ]
                self._look_at.update(watched[turn::turns])
                self._work.set()

    async def note(self) -> None:
        """Keep in PostgreSQL when people were last here, in case that nobody is left to say so."""
        while True:
            await asyncio.sleep(_NOTE_SECONDS * random.uniform(0.5, 1))  # noqa: S311
            with contextlib.suppress(*database.AWAY):
                await self._note({socket.person for socket in self._does})

    async def _write(self) -> None:
        changes, self._changes = self._changes, []
        for some in _slices(changes):
            with contextlib.suppress(valkey.Away):  # the next beat says all of it anew
                await self._ask(store.write, some)
        differ = {change.person for change in changes if change.before != change.after}
        publish.post([("presence", person.id) for person in differ if person.kind is Kind.USER])
        gone = {change.person for change in changes if change.after is None}
        if gone:
            with contextlib.suppress(*database.AWAY):
                await self._note(gone)

    async def _note(self, people: Collection[Person]) -> None:
        users = [person.id for person in people if person.kind is Kind.USER]
        for some in _slices(users):
            await database.run(last_seen.note, some)

    async def _tell(self) -> None:
        now = time.monotonic()
        due = {user_id for user_id, when in self._going.items() if when <= now}
        looked_at = (self._look_at & self._watchers.keys()) | due
        self._look_at = set()
        found = await self._states(looked_at)
        told = {user_id: state for user_id, state in found.items() if self._is_told(user_id, state)}
        seen = await _seen(told)
        for user_id, state in told.items():
            self._known[user_id] = state
            for socket in self._watchers.get(user_id, ()):
                socket.tell(_frame(user_id, state, seen))

    def _is_told(self, user_id: str, state: State) -> bool:
        """Whether a state is news by now. `State` is in order: who comes is told of at once."""
        known, now = self._known.get(user_id), time.monotonic()
        order = list(State)
        if known is None or order.index(state) < order.index(known):
            self._going.pop(user_id, None)
            return True
        if state is known:
            self._going.pop(user_id, None)
            return False
        if self._going.setdefault(user_id, now + GONE_SECONDS) > now:
            return False
        del self._going[user_id]
        return True

    def _next_going(self) -> float | None:
        """Seconds until somebody is to be told to have gone."""
        if not self._going:
            return None
        return max(0.0, min(self._going.values()) - time.monotonic())

    async def _states(self, user_ids: Collection[str]) -> dict[str, State]:
        """Of those about whom Valkey knows; empty while it is away."""
        found: dict[str, State] = {}
        for some in _slices(list(user_ids)):
            with contextlib.suppress(valkey.Away):
                states = await self._ask(store.states, store.users(some))
                found |= {person.id: state for person, state in states.items()}
        return found

    async def _ask(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


def _allowed(person: Person, user_ids: Collection[str]) -> set[str]:
    own = {person.id} if person.kind is Kind.USER else set()
    allowed = set(user_ids) & own
    for policy in registry.watch_policies:
        allowed |= set(policy(person, user_ids)) & set(user_ids)
    return allowed


async def _seen(states: Mapping[str, State]) -> Mapping[str, datetime]:
    """When those who are offline were last here; nothing while PostgreSQL is away."""
    offline = [user_id for user_id, state in states.items() if state is State.OFFLINE]
    with contextlib.suppress(*database.AWAY):
        return await database.run(last_seen.of, offline) if offline else {}
    return {}


def _frame(user_id: str, state: State, seen: Mapping[str, datetime]) -> Message:
    frame: dict[str, Any] = {"type": "presence", "user_id": user_id, "state": state}
    if state is State.OFFLINE and user_id in seen:
        frame["last_seen"] = seen[user_id].isoformat()
    return wire.message(frame)


def _slices(items: list[Any]) -> Iterator[list[Any]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
