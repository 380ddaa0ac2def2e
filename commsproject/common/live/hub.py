"""The heart of the socket: one per process. It hears that something is new, reads it once, and lets
every follower write it.

What keeps the promise is not the channel layer but PostgreSQL: notes only say when to look. Each
delivery is authorised and read there, and every heartbeat compares the heads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from django.conf import settings

from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.ids import new_id
from commsproject.common.live import database, registry, sessions, tickets, wire
from commsproject.common.live.bus import Bus
from commsproject.common.live.closes import Close
from commsproject.common.live.counts import counts
from commsproject.common.live.people import Kind, Session
from commsproject.common.live.presence.store import Doing
from commsproject.common.live.presence.watching import Presence
from commsproject.common.live.registry import Feed, Wish
from commsproject.common.live.seats import Seats
from commsproject.common.live.server import Send
from commsproject.common.live.sessions import Login
from commsproject.common.live.sockets import Socket
from commsproject.common.live.topics import REPLAY, Messages, Topic
from commsproject.common.loops import PerLoop

log = structlog.get_logger(__name__)

T = TypeVar("T")
Key = tuple[Feed, str]

_KEYS_AT_ONCE = 500
_FRAMES_AT_ONCE = 5_000
_MOST_OF_A_KEY = 100
_BEATS_AT_ONCE = 50
"""Sockets; all of thousands at once would hold up a message for a tenth of a second."""

_VALIDATE_SECONDS = 60.0
_AGAIN_SECONDS = 0.5
"""After PostgreSQL was away."""


class Hub:
    """Everything here runs on one event loop, so nothing needs a lock."""

    def __init__(self) -> None:
        self.seats = Seats()
        self.sockets: dict[str, Socket] = {}
        self._topics: dict[Key, Topic[Socket]] = {}
        self._wanted: dict[str, dict[Topic[Socket], None]] = defaultdict(dict)
        self._work = {name: asyncio.Event() for name in registry.feeds}
        self._missed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.presence = Presence(self.sockets)

    def start(self) -> None:
        """Begin to listen, with the first connection; and again what has ended by a defect."""
        if self._tasks and not any(task.done() for task in self._tasks):
            return
        for task in self._tasks:
            task.cancel()
        bus = Bus(self.take, self._missed.set, settings.LIVE_HEARTBEAT_SECONDS / 3)
        loops = [bus.listen(), self._compare(), self._beat(), self._sweep(), self._validate()]
        loops += [
            self.seats.live(),
            self.presence.keep(),
            self.presence.beat(),
            self.presence.note(),
        ]
        loops += [self._deliver(feed) for feed in registry.feeds.values()]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        for task in (*self._tasks, *self._closing):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)

    # --- Sockets

    def enter(self, login: Login, send: Send) -> Socket:
        socket = Socket(Session(str(new_id()), login.person), login, send, self._want)
        self.sockets[socket.session.id] = socket
        self.presence.set(socket, Doing())
        counts.sockets += 1
        counts.opened += 1
        return socket

    def leave(self, socket: Socket) -> None:
        socket.stop()
        if self.sockets.pop(socket.session.id, None) is not None:
            counts.sockets -= 1
            self.presence.leave(socket)
        for topic in list(socket.follows):
            self._detach(socket, topic)

    async def follow(
        self, socket: Socket, wanted: Mapping[Key, int | None]
    ) -> tuple[dict[Key, int], list[Key]]:
        """Let `socket` follow keys, each from a seq (None: from now). The heads, and who was refused.

        Sends a `resync` where it cannot begin at the seq. Raises the database's errors.
        """
        # Topics first, so that notes of what comes while we ask are not lost.
        topics = {pair: self._topics.setdefault(pair, Topic(*pair)) for pair in wanted}
        for topic in topics.values():
            topic.expected += 1
        allowed: dict[Key, int] = {}
        try:
            for feed, keys in _by_feed(wanted):
                wishes = [(socket.person, key) for key in keys]
                floors, heads = await database.run(_look, feed, wishes)
                for (_, key), floor in floors.items():
                    topic = topics[feed, key]
                    topic.head = max(topic.head, heads.get(key, 0))
                    allowed[feed, key] = floor
            for pair, floor in allowed.items():
                self._attach(socket, topics[pair], wanted[pair], floor)
        finally:
            for topic in topics.values():
                topic.expected -= 1
            self._forget(topics)
        heads_now = {pair: topics[pair].head for pair in allowed}
        return heads_now, [pair for pair in wanted if pair not in allowed]

    def unfollow(self, socket: Socket, pairs: Iterable[Key]) -> None:
        for pair in pairs:
            if (topic := self._topics.get(pair)) is not None and topic in socket.follows:
                self._detach(socket, topic)

    def shut(self, socket: Socket, why: Close) -> None:
        """Close a socket, within seconds even where its client reads nothing."""
        task = asyncio.create_task(self._shut(socket, why))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _shut(self, socket: Socket, why: Close) -> None:
        self.leave(socket)
        try:
            async with asyncio.timeout(1):
                await socket.close(why)
        except TimeoutError:
            socket.abort()
        except (OSError, RuntimeError):
            pass  # it was closed meanwhile

    def _attach(self, socket: Socket, topic: Topic[Socket], seq: int | None, floor: int) -> None:
        begin = topic.head if seq is None else max(seq, floor)
        if begin > topic.head or topic.head - begin > REPLAY:
            begin = topic.head
        topic.move(socket, begin)
        socket.follows[topic] = None
        if seq is not None and begin != seq:
            self._resync(socket, topic)
        socket.catch_up(topic)

    def _detach(self, socket: Socket, topic: Topic[Socket]) -> None:
        socket.forget(topic)
        topic.drop(socket)
        self._forget([(topic.feed, topic.key)])

    def _forget(self, pairs: Iterable[Key]) -> None:
        for pair in pairs:
            topic = self._topics.get(pair)
            if topic is not None and not topic.cursors and not topic.expected:
                del self._topics[pair]

    def _resync(self, socket: Socket, topic: Topic[Socket]) -> None:
        counts.resyncs += 1
        about = wire.named(topic.feed, topic.key)
        socket.tell(wire.message({"type": "resync", **about, "seq": topic.cursors[socket]}))

    # --- Notes

    def take(self, notes: Sequence[Any]) -> None:
        """What the bus brings, in the shapes of `publish.Note`."""
        for note in notes:
            match note:
                case ["head", name, key, seq]:
                    if (topic := self._topic(name, key)) is not None and seq > topic.head:
                        topic.head = seq
                        self._want(topic)
                case ["presence", user_id]:
                    self.presence.take(user_id)
                case ["ephemeral", name, key, {"type": str(kind)} as frame, sender]:
                    topic = self._topic(name, key)
                    if topic is not None and _may_pass(topic.feed, kind, frame):
                        self._tell(topic.cursors, frame, sender)

    def _topic(self, name: str, key: str) -> Topic[Socket] | None:
        feed = registry.feeds.get(name)
        return self._topics.get((feed, key)) if feed else None

    @staticmethod
    def _tell(followers: Iterable[Socket], frame: Mapping[str, Any], sender: str) -> None:
        message = wire.message(frame)
        for socket in followers:
            if socket.session.id != sender:
                socket.tell(message)

    # --- Deliveries

    def _want(self, topic: Topic[Socket]) -> None:
        self._wanted[topic.feed.name][topic] = None
        self._work[topic.feed.name].set()

    async def _deliver(self, feed: Feed) -> None:
        """Read what is wanted of one feed, many keys at a time, and let it be written."""
        wanted, work = self._wanted[feed.name], self._work[feed.name]
        while True:
            await work.wait()
            work.clear()
            while wanted:
                batch = list(itertools.islice(wanted, _KEYS_AT_ONCE))
                for topic in batch:
                    del wanted[topic]
                batch = [topic for topic in batch if topic.wants_more]
                if not await self._read_all(feed, batch):
                    wanted.update(dict.fromkeys(batch))
                    await asyncio.sleep(_AGAIN_SECONDS)

    async def _read_all(self, feed: Feed, batch: Sequence[Topic[Socket]]) -> bool:
        """False where PostgreSQL did not answer. A key that cannot be read holds up no other; it is
        tried again with the next heartbeat.
        """
        if not batch:
            return True
        try:
            await self._read(feed, batch)
        except Exception as error:  # noqa: BLE001 - a defect of one feed must not end the hub
            if isinstance(error, database.AWAY):
                _complain(feed, error)
                return False
            if len(batch) == 1:
                _complain(feed, error)
                return True
            half = len(batch) // 2
            first = await self._read_all(feed, batch[:half])
            return await self._read_all(feed, batch[half:]) and first
        return True

    async def _read(self, feed: Feed, batch: Sequence[Topic[Socket]]) -> None:
        known = {topic: (topic.start(), topic.head) for topic in batch}
        after = {topic.key: seq for topic, (seq, _) in known.items()}
        wishes = {(one.person, topic.key) for topic in batch for one in topic.cursors}
        limit = max(1, min(_MOST_OF_A_KEY, _FRAMES_AT_ONCE // len(batch)))
        allowed, found, heads = await database.run(_fetch, feed, wishes, after, limit)
        for topic, (seq, head) in known.items():
            self._check(topic, wishes, allowed)
            if found.get(topic.key):
                self._load(topic, seq, found[topic.key])
            elif heads.get(topic.key, 0) > seq:
                self._skip(topic, heads[topic.key])
            elif topic.key in heads and topic.head == head:
                topic.head = topic.loaded  # somebody told of what is not there
            if topic.wants_more:
                self._want(topic)

    def _load(
        self, topic: Topic[Socket], after: int, found: Sequence[tuple[int, Messages]]
    ) -> None:
        if found[0][0] > after + 1:
            self._skip(topic, found[0][0] - 1)
        else:
            ascending = enumerate(found, after + 1)
            dense = itertools.takewhile(lambda one: one[0] == one[1][0], ascending)
            topic.extend(after, [message for _, (_, message) in dense])
        for socket in topic.due():
            socket.catch_up(topic)

    def _skip(self, topic: Topic[Socket], seq: int) -> None:
        """The rows up to `seq` are gone: who was before it is told."""
        for socket in topic.skip_to(seq):
            self._resync(socket, topic)

    def _check(
        self, topic: Topic[Socket], asked: Collection[Wish], allowed: Mapping[Wish, int]
    ) -> None:
        """Let go of who may no longer follow. Who came after `asked` was checked when it came."""
        for socket in list(topic.cursors):
            wish = (socket.person, topic.key)
            if wish in asked and wish not in allowed:
                self._detach(socket, topic)
                socket.tell(
                    wire.error(
                        NotFound("You may no longer follow this."),
                        **wire.named(topic.feed, topic.key),
                    )
                )

    # --- By the clock

    async def _compare(self) -> None:
        """Every heartbeat, and when notes may have been missed: is there more in PostgreSQL?"""
        while True:
            await self._compare_heads()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.LIVE_HEARTBEAT_SECONDS):
                    await self._missed.wait()
            self._missed.clear()

    async def _beat(self) -> None:
        """Every heartbeat: tell each socket the heads of what it follows, a few at a time."""
        while True:
            slices = list(_slices(list(self.sockets.values()), _BEATS_AT_ONCE)) or [[]]
            for some in slices:
                for socket in some:
                    socket.beat()
                await asyncio.sleep(settings.LIVE_HEARTBEAT_SECONDS / len(slices))

    async def _compare_heads(self) -> None:
        followed = [pair for pair, topic in self._topics.items() if topic.cursors]
        for feed, keys in _by_feed(followed):
            for some in _slices(keys, _KEYS_AT_ONCE):
                topics = [self._topics[feed, key] for key in some if (feed, key) in self._topics]
                loaded = {topic: topic.loaded for topic in topics}
                try:
                    heads = await database.run(feed.heads, [topic.key for topic in topics])
                except Exception as error:  # noqa: BLE001
                    _complain(feed, error)
                    break
                for topic, seq in loaded.items():
                    if topic.cursors:
                        self._compared(topic, heads.get(topic.key, 0), seq)

    def _compared(self, topic: Topic[Socket], seq: int, loaded: int) -> None:
        """A topic's head is `seq`, asked for when what is `loaded` had been read already."""
        if seq < loaded:  # erased, and perhaps begun anew
            for socket in topic.begin_anew(seq):
                self._resync(socket, topic)
        topic.head = max(topic.head, seq)
        if topic.wants_more:
            self._want(topic)

    async def _sweep(self) -> None:
        """Every second: close who does not read, and whose token has expired."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            now = loop.time()
            for socket in list(self.sockets.values()):
                if socket.login.has_expired:
                    self.shut(socket, Close.ENDED)
                elif socket.is_slow(now):
                    self.shut(socket, Close.SLOW)

    async def _validate(self) -> None:
        """Every minute: ask again whether each login holds, and each key may be followed."""
        while True:
            await asyncio.sleep(_VALIDATE_SECONDS * random.uniform(0.75, 1))  # noqa: S311
            try:
                await self.validate()
                await database.run(tickets.purge)
            except Exception:
                log.exception("sessions could not be validated")

    async def validate(self) -> None:
        for some in _slices(list(self.sockets.values()), _KEYS_AT_ONCE):
            over = await database.run(sessions.over, [socket.login for socket in some])
            for socket in some:
                if socket.login in over:
                    self.shut(socket, Close.ENDED)
        for feed, keys in _by_feed(list(self._topics)):
            for few in _slices(keys, _KEYS_AT_ONCE):
                topics = [self._topics[feed, key] for key in few if (feed, key) in self._topics]
                wishes = {(one.person, topic.key) for topic in topics for one in topic.cursors}
                allowed = await database.run(feed.authorise, wishes)
                for topic in topics:
                    self._check(topic, wishes, allowed)
        await self.presence.check()


def _look(feed: Feed, wishes: Collection[Wish]) -> tuple[Mapping[Wish, int], Mapping[str, int]]:
    allowed = feed.authorise(wishes)
    return allowed, feed.heads({key for _, key in allowed}) if allowed else {}


def _fetch(
    feed: Feed, wishes: Collection[Wish], after: Mapping[str, int], limit: int
) -> tuple[Mapping[Wish, int], dict[str, list[tuple[int, Messages]]], Mapping[str, int]]:
    """Who may read; messages by key; the heads of keys where nothing was found."""
    allowed = feed.authorise(wishes)
    keys = {key for _, key in allowed}
    found = _read(feed, {key: seq for key, seq in after.items() if key in keys}, limit)
    missing = keys - set(found)
    heads = dict.fromkeys(missing, 0) | dict(feed.heads(missing) if missing else {})
    # What came after the first look is no hole.
    found |= _read(feed, {key: after[key] for key in missing if heads[key] > after[key]}, limit)
    return allowed, found, heads


def _read(
    feed: Feed, after: Mapping[str, int], limit: int
) -> dict[str, list[tuple[int, Messages]]]:
    found: dict[str, list[tuple[int, Messages]]] = {}
    for key, seq, frame in feed.read(after, limit) if after else ():
        found.setdefault(key, []).append((seq, _messages(feed, frame)))
    return found


def _messages(feed: Feed, frame: Mapping[str, Any]) -> Messages:
    message, shown = wire.message(frame), feed.for_people(frame)
    return {Kind.STAFF: message, Kind.USER: message if shown is frame else wire.message(shown)}


def _may_pass(feed: Feed, kind: str, frame: Mapping[str, Any]) -> bool:
    """Whether it is a frame that may come through the broker, where it is worth no trust: an entry of
    a conversation never is.
    """
    known = registry.passing(feed).get(kind)
    try:
        if known is None:
            raise InvalidInput.of("type", "not_passing", "It does not come through the broker.")
        known.check(frame)
    except InvalidInput as error:
        log.warning("live frame refused", feed=feed.name, errors=[one.code for one in error.errors])
        return False
    return True


def _complain(feed: Feed, error: Exception) -> None:
    if isinstance(error, database.AWAY):
        log.warning("database unavailable", feed=feed.name, error=type(error).__name__)
    else:
        log.error("a feed cannot be read", feed=feed.name, exc_info=error)


def _by_feed(pairs: Iterable[Key]) -> Iterator[tuple[Feed, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for feed, key in pairs:
        found[feed.name].append(key)
    return ((registry.feeds[name], keys) for name, keys in found.items())


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))


hubs = PerLoop(Hub)
"""One for each event loop: a web process has one."""
