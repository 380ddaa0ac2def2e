"""How much of a request's body is taken, from whom, and how much of all at once: Django stores a body whole
before it looks at the path.

A body that is not small is bounded by the page it is for: DATA_UPLOAD_MAX_MEMORY_SIZE, or what the page
says with `bounded`. More than that usual bound is taken only from who is known to it. All bodies
share room that has an end, and those of strangers are not in the room of those who are known.
What is refused goes to Django without its body, so that there is one way to answer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar, cast

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from rest_framework.views import APIView

from commsproject.common.api import problems
from commsproject.common.errors import CommsError, NotFound, ServiceUnavailable
from commsproject.common.metrics import NO_ROUTE, count_request

SMALL = 64 * 1024
"""Bytes that anybody may send anywhere, and nobody counts."""

OF_STRANGERS = 128 * 1024 * 1024
"""Bytes of larger bodies that a process holds of callers it does not know, webhooks among them."""

STRANGERS_SECONDS = 60.0
"""In which such a body must be here: who holds the room has to send without end."""

RETRY_AFTER = 5
_LINGER = 2.0
"""Seconds in which the rest of a refused body is read and dropped: who is cut off while it sends may
never read the answer.
"""

_REFUSAL = "comms.refusal"

log = structlog.get_logger(__name__)

Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
_View = TypeVar("_View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Bound:
    limit: Callable[..., int]
    admit: Callable[[HttpRequest], object] | None


def bounded(
    limit: Callable[..., int], admit: Callable[[HttpRequest], object] | None = None
) -> Callable[[_View], _View]:
    """Of a view: the bytes that `limit` says, called with the arguments of its route. `admit` raises
    for callers who are not known, by the request's head alone; a view of the API asks that itself.
    """

    def marked(view: _View) -> _View:
        view.body_bound = Bound(limit, admit)  # type: ignore[attr-defined]  # takes any attribute
        return view

    return marked


class Room:
    """Bytes that bodies have of a process until they are answered."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.free = size

    def take(self, count: int) -> None:
        """Raises `ServiceUnavailable`."""
        self.check(count)
        self.free -= count

    def check(self, count: int) -> None:
        """Raises `ServiceUnavailable`."""
        if count > self.free:
            log.warning("no room for a body", free=self.free)
            raise ServiceUnavailable(
                "Too many large bodies are being received; try again.", retry_after=RETRY_AFTER
            )


@dataclass(frozen=True, slots=True)
class Allowance:
    limit: int
    beyond: CommsError
    room: Room
    seconds: float | None
    """In which all of it must come."""

    def check(self, size: int) -> None:
        """Raises `CommsError`."""
        if size > self.limit:
            raise self.beyond


class BoundedBodies:
    """ASGI: in front of `app`."""

    def __init__(self, app: App) -> None:
        self._app = app
        with suppress(FileNotFoundError):
            tempfile.gettempdir()  # which is looked for by writing, and not found once it is full
        self._of_strangers = Room(OF_STRANGERS)
        self._of_known = Room(settings.UPLOADS_ROOM)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        announced = _announced(scope) if scope["type"] == "http" else 0
        if announced is not None and announced <= SMALL:
            await self._app(scope, receive, send)
            return
        body = _Body(receive, lambda: self._allowance(scope))
        try:
            await body.announce(announced or 0)
            await self._app(scope, body.receive, send)
        except CommsError as error:
            body.refusal = error
        except OSError as error:  # views' are answered: this is of storing the body
            body.refusal = problems.disk_full(error)
            if body.refusal is None:
                raise
        finally:
            body.let_go()
        if body.refusal is not None:
            await self._refuse(scope, body, send)

    async def _allowance(self, scope: Mapping[str, Any]) -> Allowance:
        found = await sync_to_async(_asked, thread_sensitive=False)(scope)
        room = self._of_known if found.is_known else self._of_strangers
        limit = min(found.limit, room.size)
        too_large = problems.TooLarge(f"A body may have at most {limit} bytes here.")
        seconds = None if found.is_known else STRANGERS_SECONDS
        return Allowance(limit, found.refusal or too_large, room, seconds)

    async def _refuse(self, scope: Mapping[str, Any], body: _Body, send: Send) -> None:
        async def answered(event: Event) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event["headers"], (b"connection", b"close")]}
            elif not event.get("more_body"):
                await send({**event, "more_body": True})
                await body.read_off()
                event = {"type": "http.response.body", "body": b""}
            await send(event)

        await self._app({**scope, _REFUSAL: body.refusal}, _nothing(), answered)


class BodiesMiddleware:
    """Answers for what `BoundedBodies` refused. Before all that answers by itself, probes too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        error = getattr(request, "scope", {}).get(_REFUSAL)
        if error is None:
            return self.get_response(request)
        count_request(request.method, NO_ROUTE, error.status, time.monotonic())
        response = problems.answer(error)
        response["Content-Length"] = str(len(response.content))  # the connection ends later
        if isinstance(error, problems.Unauthenticated):
            response["WWW-Authenticate"] = 'Bearer realm="api"'
        return response


class _Body:
    """A body on its way to Django. Once it is refused Django is told that the client went away."""

    def __init__(self, receive: Receive, allowance: Callable[[], Awaitable[Allowance]]) -> None:
        self.refusal: CommsError | None = None
        self._receive = receive
        self._ask = allowance
        self._allowed: Allowance | None = None
        self._size = self._taken = 0
        self._has_more = True
        self._until: float | None = None

    async def announce(self, size: int) -> None:
        """Raises `CommsError` where so much is not taken."""
        if size > SMALL:
            allowed = await self._allowance()
            allowed.check(size)
            allowed.room.check(size)

    async def receive(self) -> Event:
        if not self._has_more:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                event = await self._receive()
            self._has_more = bool(event.get("more_body"))
            self._size += len(event.get("body", b""))
            await self._make_room()
        except CommsError as error:
            self.refusal = error
        except TimeoutError:
            self.refusal = ServiceUnavailable(
                "The body came too slowly; send it again.", retry_after=RETRY_AFTER
            )
        else:
            return event
        return {"type": "http.disconnect"}

    async def read_off(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while self._has_more:
                    event = await self._receive()
                    self._has_more = bool(event.get("more_body"))

    def let_go(self) -> None:
        if self._allowed is not None:
            self._allowed.room.free += self._taken
        self._taken = 0

    async def _make_room(self) -> None:
        if self._size <= SMALL:
            return
        allowed = await self._allowance()
        allowed.check(self._size)
        allowed.room.take(self._size - self._taken)
        self._taken = self._size

    async def _allowance(self) -> Allowance:
        if self._allowed is None:
            allowed = self._allowed = await self._ask()
            if allowed.seconds is not None:
                self._until = asyncio.get_running_loop().time() + allowed.seconds
        return self._allowed


def _announced(scope: Mapping[str, Any]) -> int | None:
    """Bytes of the body; None: only its end will tell."""
    length = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length


def _nothing() -> Receive:
    """An empty body, and nothing after it."""
    events = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Event:
        for event in events:
            return event
        never: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        return await never  # Django ends it when it has answered

    return receive


# --- On a thread -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page takes of a caller; `refusal` where it would take more of another."""

    limit: int
    is_known: bool = False
    refusal: CommsError | None = None


def _asked(scope: Mapping[str, Any]) -> _Asked:
    usual = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        request = ASGIRequest(scope, BytesIO())
        match = resolve(request.path_info)
    except (Resolver404, UnicodeDecodeError):  # Django says so, once it has the body
        return _Asked(usual)
    view = getattr(match.func, "view_class", match.func)
    bound: Bound | None = getattr(view, "body_bound", None)
    limit = usual
    try:
        if bound is not None:
            limit = bound.limit(**match.kwargs)
        is_known = _is_known(request, match.func, bound)
    except NotFound:  # it depends on a name that there is not
        return _Asked(usual)
    except Exception as error:
        refusal = problems.translate(error)
        if refusal is None:
            raise
        return _Asked(min(limit, usual), refusal=refusal if limit > usual else None)
    finally:
        close_old_connections()
    return _Asked(limit, is_known)


def _is_known(request: HttpRequest, view: Any, bound: Bound | None) -> bool:
    """Raises what the page would raise for who may not come in."""
    if bound is not None and bound.admit is not None:
        bound.admit(request)
        return True
    kind = getattr(view, "cls", None)
    if kind is None or not issubclass(kind, APIView):
        return False
    page = cast("APIView", kind(**view.initkwargs))
    asked = page.request = page.initialize_request(request)
    page.perform_authentication(asked)
    page.check_permissions(asked)
    return asked.successful_authenticator is not None
