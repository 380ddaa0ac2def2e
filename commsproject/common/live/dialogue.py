"""What a client says on an open socket, and what it is answered. One frame after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import structlog

from commsproject.common.api import problems, strict_json
from commsproject.common.errors import CommsError, InvalidInput, NotFound
from commsproject.common.live import database, publish, registry, wire
from commsproject.common.live.counts import counts
from commsproject.common.live.frames import MAX_FRAME, ClientFrame
from commsproject.common.live.hub import Hub, Key
from commsproject.common.live.limits import MOST_KEYS, Pace
from commsproject.common.live.presence import watching
from commsproject.common.live.registry import OwnFeed, Relay
from commsproject.common.live.sockets import Socket

log = structlog.get_logger(__name__)

Fields = Mapping[str, Any] | None


class TooMuch(CommsError):
    """More frames, or more keys, than one connection may have."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class Dialogue:
    """The frames of one socket. Raises `limits.Flood` where answering them would be too much."""

    def __init__(self, hub: Hub, socket: Socket) -> None:
        self._hub = hub
        self._socket = socket
        self._pace = Pace()
        self._relayed: dict[tuple[str, str], float] | None = None

    async def hear(self, text: str | None) -> None:
        """Handle one message of the client; None stands for a binary one."""
        counts.received += 1
        about: dict[str, str] = {}
        allowed = self._pace.allows()
        try:
            if not allowed:
                raise TooMuch("More frames than a connection may send.", retry_after=1)
            frame = _parsed(text)
            if isinstance(ref := frame.get("id"), str):
                about["id"] = ref[:64]
            await self._handle(frame, about)
        except Exception as error:
            problem = problems.translate(error)
            if problem is None:
                log.error("a frame was not handled", exc_info=error)
                problem = problems.InternalError()
            counts.refused[problem.code] += 1
            await self._socket.answer(wire.error(problem, **about))
        finally:
            self._socket.is_held = False
            self._socket.wake()

    async def _handle(self, frame: Mapping[str, Any], about: Mapping[str, str]) -> None:
        name = str(frame["type"])
        known = client_frames().get(name)
        if known is None:
            raise InvalidInput.of("type", "unknown_type", "There is no frame of this type.")
        known.check(frame)
        if name == "ping":
            await self._socket.answer(wire.message({"type": "pong", **about}))
            return
        answer = await self._carry_out(name, frame)
        if about:
            await self._socket.answer(wire.message({"type": "ack", **(answer or {}), **about}))
        elif refused := (answer or {}).get("refused"):
            told = {"type": "refused", "frame": name, "refused": refused}
            await self._socket.answer(wire.message(told))

    async def _carry_out(self, name: str, frame: Mapping[str, Any]) -> Fields:
        match name:
            case "subscribe":
                return await self._subscribe(frame)
            case "unsubscribe":
                return self._unsubscribe(frame)
            case "presence":
                return self._presence(frame)
            case "presence.watch":
                return await self._hub.presence.watch(self._socket, frozenset(frame["users"]))
        if name in registry.relays:
            return self._relay(registry.relays[name], frame)
        command = registry.commands[name]
        return await database.run(command.handle, self._socket.session, frame)

    async def _subscribe(self, frame: Mapping[str, Any]) -> Fields:
        wanted, homeless = self._keys(frame)
        followed = {(topic.feed, topic.key) for topic in self._socket.follows}
        if len(followed | wanted.keys()) > MOST_KEYS:
            raise TooMuch(f"A connection follows at most {MOST_KEYS} keys.")
        self._socket.is_held = True  # the ack is first, then what was missed
        heads, refused = await self._hub.follow(self._socket, wanted)
        return {
            "heads": wire.positions(heads),
            "refused": [wire.named(*pair) for pair in refused] + homeless,
        }

    def _unsubscribe(self, frame: Mapping[str, Any]) -> Fields:
        self._hub.unfollow(self._socket, self._keys(frame)[0])
        return None

    def _presence(self, frame: Mapping[str, Any]) -> Fields:
        looked_at, _ = self._keys(frame.get("looking_at", {}))
        followed = {(topic.feed, topic.key) for topic in self._socket.follows}
        if not looked_at.keys() <= followed:
            raise NotFound("Only what this connection follows can be looked at.")
        if len(looked_at) > 1:
            raise InvalidInput.of("looking_at", "too_many", "One connection looks at one key.")
        place = next(iter(looked_at), None)
        self._hub.presence.set(self._socket, watching.doing(frame["state"], place))
        return None

    def _relay(self, relay: Relay, frame: Mapping[str, Any]) -> Fields:
        key, now = frame[relay.field], time.monotonic()
        if not any((t.feed.name, t.key) == (relay.feed, key) for t in self._socket.follows):
            raise NotFound("Only what this connection follows can be written to.")
        recent = self._relayed = self._relayed or {}
        if now - recent.get((relay.frame.type, key), -relay.every) < relay.every:
            return None
        if len(recent) > MOST_KEYS:
            recent.clear()
        recent[relay.frame.type, key] = now
        session = self._socket.session
        publish.post([("ephemeral", relay.feed, key, relay.make(session, frame), session.id)])
        return None

    def _keys(self, frame: Mapping[str, Any]) -> tuple[dict[Key, Any], list[dict[str, str]]]:
        """Of a frame with a field for each feed: what stands there of each key; and the feeds of
        which this person has none.
        """
        found: dict[Key, Any] = {}
        homeless = []
        for name, feed in registry.feeds.items():
            if name not in frame:
                continue
            value = frame[name]
            if not isinstance(feed, OwnFeed):
                pairs = value.items() if isinstance(value, dict) else ((key, None) for key in value)
                found |= {(feed, key): seq for key, seq in pairs}
            elif (key := feed.key(self._socket.person)) is not None:
                found[feed, key] = value
            else:
                homeless.append(wire.named(feed, ""))
        return found, homeless


@cache
def client_frames() -> dict[str, ClientFrame]:
    """Every frame that a client may send, by type."""
    built_in = (wire.subscribe(), wire.unsubscribe(), wire.PING, *watching.client_frames())
    commands = (command.frame for command in registry.commands.values())
    relays = (relay.frame for relay in registry.relays.values())
    return {frame.type: frame for frame in (*built_in, *commands, *relays)}


def _parsed(text: str | None) -> dict[str, Any]:
    if text is None:
        raise InvalidInput("Frames are text, not binary.")
    if len(raw := text.encode()) > MAX_FRAME:
        raise problems.TooLarge(f"A frame has at most {MAX_FRAME} bytes.")
    try:
        frame = strict_json.loads(raw)
    except strict_json.BadJSON as error:
        raise InvalidInput.of("", "malformed", str(error)) from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise InvalidInput.of("type", "required", "A frame is a JSON object with a `type`.")
    return frame
