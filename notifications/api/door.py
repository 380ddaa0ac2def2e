"""The fast door of `POST /api/v1/notifications`, beside the view of the same address.

It answers one case: an agent's message that is taken. Form, permission, limit and service are the
view's own; what it leaves out is Django's and REST framework's way to them, which costs more than the
message, and it gives the service what arrives together as one list. Whatever is wrong with a
request, large or unusual goes on to Django with its body as it came, so there is one place that
knows how to refuse.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import request_finished
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import resolve
from rest_framework.exceptions import ValidationError

from commsproject.common import limits, tracing
from commsproject.common.api import problems, strict_json, throttle
from commsproject.common.correlation import request_id
from commsproject.common.csp import CspMiddleware
from commsproject.common.errors import InvalidInput, ServiceUnavailable
from commsproject.common.grouping import Full, Grouped
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.limits import Grant, Standing
from commsproject.common.logging import note_request
from commsproject.common.metrics import count_request
from commsproject.common.models import ApiKey
from commsproject.common.postgres.session import answering_within
from commsproject.common.private import PrivateMiddleware
from notifications.api.input import NotificationInput, submission
from notifications.api.notifications import checked_key
from notifications.services import submit
from notifications.services.asked import Submission
from notifications.services.submit import Accepted

PATH = "/api/v1/notifications"

MAX_BODY = 65_536
"""Bytes. More has attachments, and holds up the event loop while it is read."""

MOST = 100
"""Messages of one transaction."""

ROOM = 2_000
"""Messages that wait for theirs. Whoever comes then is told to come again."""

ANSWERED_WITHIN = 15.0
"""Seconds for each answer of PostgreSQL, who gives up a lock after 10 by itself. All others wait
behind this one transaction."""

LOCK_MS = 250
"""How long several wait together for a lock: what one of them meets holds up all, so they go on to
Django, where it holds up that one.
"""

_NEVER = frozenset({b"cookie", b"origin", b"content-encoding", b"transfer-encoding", b"expect"})
"""Headers of callers that are no agents, or mean something that only Django looks at."""

log = structlog.get_logger(__name__)

_OWN = (b"authorization", b"idempotency-key", b"x-request-id")

_JUDGED = (b"host", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto")
"""Headers that Django may read to know where a request came to, and whether by TLS."""

_FRAMES = 64
"""Kinds of callers whose frame is kept."""

_ACCEPTED = frozenset({b"*/*", b"application/json"})
_BEARER = f"Bearer {keys.MARK}".encode()
_ALLOW = "GET, POST, HEAD, OPTIONS"  # the view's

_UNDONE = frozenset({"40P01", "40001", "55P03"})
"""What PostgreSQL calls a deadlock, a conflict and a lock not had in time."""

_Header = tuple[bytes, bytes]
Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Asked:
    raw_key: str
    submission: Submission


@dataclass(frozen=True, slots=True)
class _Taken:
    accepted: Accepted
    standing: Standing | None


_Answer = _Taken | ServiceUnavailable | None
"""None: Django is to answer."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """What a request's headers say besides the message."""

    raw_key: str
    idempotency_key: str
    request_id: str
    frame: Sequence[_Header]


class NotificationDoor:
    """ASGI: in front of `app`. Transactions run on `pool`, one at a time."""

    def __init__(self, app: App, pool: Executor) -> None:
        self._app = app
        self._form = NotificationInput()
        self._frame = lru_cache(_FRAMES)(_frame)
        self._group: Grouped[_Asked, _Answer] = Grouped(_answers, pool, most=MOST, room=ROOM)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        events = await _received(receive)
        body = b"".join(event.get("body", b"") for event in events)
        caller = self._caller(scope)
        asked = self._asked(caller, body) if caller else None
        answer = await self._answer(asked) if asked else None
        if caller is None or answer is None:
            await self._app(scope, _again(events, receive), send)
            return
        status, headers, content = _response(answer, caller.frame)
        headers.append((b"x-request-id", caller.request_id.encode("ascii")))
        note_request("POST", self._route, status, started, request_id=caller.request_id)
        count_request("POST", self._route, status, started)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _caller(self, scope: Mapping[str, Any]) -> _Caller | None:
        """None: Django is to answer."""
        headers = dict(scope["headers"])
        judged = tuple((name, headers[name]) for name in _JUDGED if name in headers)
        frame = self._frame(scope["scheme"], scope["server"], judged)
        if frame is None:
            return None
        raw_key, key, id_ = (headers.get(name, b"").decode("latin1") for name in _OWN)
        return _Caller(raw_key.partition(" ")[2].strip(), key, request_id(id_), frame)

    def _asked(self, caller: _Caller, body: bytes) -> _Asked | None:
        """The message, where its form is right and nothing about it is unusual."""
        try:
            raw = strict_json.loads(body)
            fields = self._form.run_validation(raw)
            key = checked_key(caller.idempotency_key)
            found = submission(fields, idempotency_key=key, raw=raw)
        except (strict_json.BadJSON, ValidationError, InvalidInput):
            return None
        if isinstance(found, tuple) or found.dry_run:
            return None
        return _Asked(caller.raw_key, found)

    async def _answer(self, asked: _Asked) -> _Answer:
        try:
            return await self._group.ask(asked)
        except Full:
            return ServiceUnavailable("Too many messages wait to be stored.", retry_after=1)

    @cached_property
    def _route(self) -> str:
        return resolve(PATH).route


def _is_plain(scope: Mapping[str, Any]) -> bool:
    """Whether nothing but the message itself can be a matter of Django's."""
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
        return False
    headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]) or scope["query_string"] or _NEVER & headers.keys():
        return False
    if b"traceparent" in headers and tracing.is_on():
        return False  # a message is linked to its own request, not to a group's
    length = headers.get(b"content-length", b"")
    return (
        headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"
        and headers.get(b"accept", b"*/*") in _ACCEPTED
        and headers.get(b"authorization", b"").startswith(_BEARER)
        and length.isdigit()
        and int(length) <= MAX_BODY
    )


async def _received(receive: Receive) -> list[Event]:
    """The whole body: the server lets no more through than was announced."""
    events = [await receive()]
    while events[-1].get("more_body"):
        events.append(await receive())
    return events


def _again(events: Sequence[Event], receive: Receive) -> Receive:
    """What was received, then what comes."""
    kept = iter(events)

    async def again() -> Event:
        for event in kept:
            return event
        return await receive()

    return again


# --- On a thread of the pool -------------------------------------------------------------------


def _answers(asked: Sequence[_Asked]) -> Sequence[_Answer]:
    """In one transaction; where that fails each is Django's, by itself."""
    try:
        with answering_within(connection, ANSWERED_WITHIN):
            return _accepted(asked)
    except (OperationalError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", None) in _UNDONE:
            return [None] * len(asked)
        # Whether it was cannot be known: Django might store it a second time.
        gone = ServiceUnavailable("The database cannot be reached; try again.", retry_after=1)
        return [gone] * len(asked)
    except Exception as error:  # noqa: BLE001 - the one that is to blame fails there again
        log.warning("messages accepted one by one", count=len(asked), error=type(error).__name__)
        return [None] * len(asked)
    finally:
        request_finished.send(sender=NotificationDoor)  # the connection goes back to its pool


def _accepted(asked: Sequence[_Asked]) -> Sequence[_Answer]:
    answers: list[_Answer] = [None] * len(asked)
    grants = [(_grant(key, len(indexes)), key, indexes) for key, indexes in _by_key(asked).items()]
    allowed = [
        (index, key, _standing(grant, place))
        for grant, key, indexes in grants
        for place, index in enumerate(indexes[: grant.granted])
    ]
    try:
        results = submit.accept_all(
            [(key.client, asked[i].submission) for i, key, _ in allowed],
            lock_ms=LOCK_MS if len(allowed) > 1 else None,
        )
        for (index, _, standing), result in zip(allowed, results, strict=True):
            if isinstance(result, Accepted):
                answers[index] = _Taken(result, standing)
    finally:
        for grant, _, indexes in grants:  # Django asks for the others itself
            used = sum(answers[index] is not None for index in indexes)
            limits.give_back(grant, grant.granted - used)
    return answers


def _by_key(asked: Sequence[_Asked]) -> Mapping[ApiKey, Sequence[int]]:
    """The places of what each key may send. The same idempotency key again is answered by Django,
    as the repetition that it is.
    """
    known = keys.usable({one.raw_key for one in asked})
    found: dict[ApiKey, list[int]] = defaultdict(list)
    seen: set[tuple[UUID, str]] = set()
    for index, one in enumerate(asked):
        key = known.get(one.raw_key)
        if key is None or Scope.NOTIFICATIONS_WRITE not in key.scopes:
            continue
        if name := one.submission.idempotency_key:
            if (key.client_id, name) in seen:
                continue
            seen.add((key.client_id, name))
        found[key].append(index)
    return found


def _grant(key: ApiKey, wanted: int) -> Grant:
    bucket = throttle.bucket_of(key)
    return limits.take([bucket] if bucket else [], wanted)


def _standing(grant: Grant, place: int) -> Standing | None:
    """As it was told to one that asked for itself, in its turn."""
    for standing in grant.standings:
        return replace(standing, free=standing.free + grant.granted - 1 - place)
    return None


# --- What Django adds to an answer --------------------------------------------------------------


def _frame(
    scheme: str, server: tuple[str, int], headers: tuple[_Header, ...]
) -> Sequence[_Header] | None:
    """The headers of each answer to requests with these, by Django's middlewares themselves; None
    where they would let none in.
    """
    scope = {"type": "http", "method": "POST", "path": PATH, "scheme": scheme, "server": server}
    request = ASGIRequest({**scope, "headers": headers}, BytesIO())
    try:
        request.get_host()
    except DisallowedHost:
        return None
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        return None

    def answered(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Allow": _ALLOW}, content_type="application/json")

    def private(_request: HttpRequest) -> HttpResponse:
        response = PrivateMiddleware(answered)(request)
        for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
            middleware(answered).process_response(request, response)
        return response

    return [_header(*item) for item in CspMiddleware(private)(request).items()]


def _header(name: str, value: str) -> _Header:
    return name.lower().encode("ascii"), value.encode("latin1")


def _response(
    answer: _Taken | ServiceUnavailable, frame: Sequence[_Header]
) -> tuple[int, list[_Header], bytes]:
    """Status, headers, content."""
    if isinstance(answer, ServiceUnavailable):
        problem = problems.answer(answer)
        own = [_header(*item) for item in problem.items()]
        names = {name for name, _ in own} | {b"allow"}
        return (
            problem.status_code,
            [*(one for one in frame if one[0] not in names), *own],
            problem.content,
        )
    content = orjson.dumps(answer.accepted.response)
    headers = [*frame, (b"content-length", str(len(content)).encode("ascii"))]
    if answer.standing is not None:
        headers += [_header(*item) for item in throttle.fields(answer.standing).items()]
    if answer.accepted.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return HTTPStatus.ACCEPTED, headers, content
