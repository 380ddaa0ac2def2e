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
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import request_finished
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, resolve
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer

from commsproject.common import limits, tracing
from commsproject.common.api import problems, strict_json, throttle
from commsproject.common.api.throttle import RateLimitMiddleware
from commsproject.common.correlation import CorrelationMiddleware
from commsproject.common.csp import CspMiddleware
from commsproject.common.errors import InvalidInput, ServiceUnavailable
from commsproject.common.grouping import Full, Grouped
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.limits import Grant, Standing
from commsproject.common.logging import note_request
from commsproject.common.metrics import count_request
from commsproject.common.models import ApiKey
from commsproject.common.private import PrivateMiddleware
from notifications.api.input import NotificationInput, submission
from notifications.api.notifications import idempotency_key
from notifications.services import submit
from notifications.services.asked import Submission
from notifications.services.submit import Accepted

PATH = "/api/v1/notifications"

MAX_BODY = 65_536
"""Bytes. More has attachments, and holds up the event loop while it is read."""

MOST = 100
"""Messages of one transaction."""

AT_ONCE = 2
"""Transactions side by side: one waits for the disk while the other is worked on."""

ROOM = 2_000
"""Messages that wait for theirs. Whoever comes then is told to come again."""

_NEVER = frozenset({b"cookie", b"origin", b"content-encoding", b"transfer-encoding", b"expect"})
"""Headers of callers that are no agents, or mean something that only Django looks at."""

log = structlog.get_logger(__name__)

_ACCEPTED = frozenset({b"*/*", b"application/json"})
_BEARER = f"Bearer {keys.MARK}".encode()
_RENDERER = JSONRenderer()
_ALLOW = "GET, POST, HEAD, OPTIONS"  # the view's

_UNDONE = frozenset({"40P01", "40001", "55P03"})
"""What PostgreSQL calls a deadlock, a conflict and a lock not had in time."""

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


class NotificationDoor:
    """ASGI: in front of `app`. Transactions run on `pool`, which needs `AT_ONCE` threads."""

    def __init__(self, app: App, pool: Executor) -> None:
        self._app = app
        self._form = NotificationInput()
        self._group: Grouped[_Asked, _Answer] = Grouped(
            _answers, pool, most=MOST, at_once=AT_ONCE, room=ROOM
        )

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        events = await _received(receive)
        body = b"".join(event.get("body", b"") for event in events)
        request = ASGIRequest(scope, BytesIO(body))
        asked = self._asked(request, body)
        answer = await self._answer(asked) if asked else None
        if answer is None:
            await self._app(scope, _again(events, receive), send)
            return
        response = self._finished(request, answer, started)
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": [
                    (name.encode("ascii").lower(), value.encode("latin1"))
                    for name, value in response.items()
                ],
            }
        )
        await send({"type": "http.response.body", "body": response.content})

    def _asked(self, request: ASGIRequest, body: bytes) -> _Asked | None:
        """The message, where its form is right and nothing about it is unusual."""
        try:
            request.get_host()
            if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                return None
            raw = strict_json.loads(body)
            fields = self._form.run_validation(raw)
            found = submission(fields, idempotency_key=idempotency_key(request), raw=raw)
        except (DisallowedHost, strict_json.BadJSON, ValidationError, InvalidInput):
            return None
        if isinstance(found, tuple) or found.dry_run:
            return None
        _, _, raw_key = request.headers["Authorization"].partition(" ")
        return _Asked(raw_key.strip(), found)

    async def _answer(self, asked: _Asked) -> _Answer:
        try:
            return await self._group.ask(asked)
        except Full:
            return ServiceUnavailable("Too many messages wait to be stored.", retry_after=1)

    def _finished(
        self, request: ASGIRequest, answer: _Taken | ServiceUnavailable, started: float
    ) -> HttpResponse:
        """The answer with all that Django's has, noted as Django's is."""
        request.resolver_match = self._match

        def answered(_request: HttpRequest) -> HttpResponse:
            return _response(request, answer)

        def framed(_request: HttpRequest) -> HttpResponse:
            response = PrivateMiddleware(RateLimitMiddleware(answered))(request)
            for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
                middleware(answered).process_response(request, response)
            return response

        def noted(_request: HttpRequest) -> HttpResponse:
            response = CspMiddleware(framed)(request)
            note_request(request, response, started)
            count_request(request, response, started)
            return response

        return CorrelationMiddleware(noted)(request)

    @cached_property
    def _match(self) -> ResolverMatch:
        return resolve(PATH)


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
        results = submit.accept_all([(key.client, asked[i].submission) for i, key, _ in allowed])
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


def _response(request: HttpRequest, answer: _Taken | ServiceUnavailable) -> HttpResponse:
    if isinstance(answer, ServiceUnavailable):
        return problems.answer(answer)
    if answer.standing is not None:
        throttle.tell(request, answer.standing)
    content = _RENDERER.render(answer.accepted.response)
    response = HttpResponse(content, status=HTTPStatus.ACCEPTED, content_type="application/json")
    if answer.accepted.replayed:
        response["Idempotent-Replayed"] = "true"
    response["Allow"] = _ALLOW
    response["Content-Length"] = str(len(content))
    return response
