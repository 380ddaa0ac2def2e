"""A test client that comes by the fast door of `POST /api/v1/notifications`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from django.core.signals import request_finished
from django.db import close_old_connections
from django.http import HttpResponse
from django.test.client import FakePayload
from rest_framework.test import APIClient
from typing_extensions import override

from notifications.api import door
from tests import api_calls
from tests.api_calls import Operation


class Home(Executor):
    """Runs what it is given in the thread that makes it: a test's, on its transaction."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)

        self._asked.put(run)
        return future

    def run_until(self, done: Coroutine[Any, Any, None]) -> None:
        """`done` runs on a loop of its own, elsewhere."""
        loop = ThreadPoolExecutor(1)
        result = loop.submit(asyncio.run, done)
        result.add_done_callback(lambda _: self._asked.put(None))
        while run := self._asked.get():
            run()
        loop.shutdown()
        result.result()


class FastClient(APIClient):
    """As REST framework's. `by_itself` counts what the door answered without Django."""

    by_itself = 0

    @override
    def request(self, **asked: Any) -> Any:
        if asked["REQUEST_METHOD"] != "POST" or asked["PATH_INFO"] != door.PATH:
            return super().request(**asked)
        body = asked["wsgi.input"].read() if "wsgi.input" in asked else b""
        asked["wsgi.input"] = FakePayload(body)
        by_django = super().request
        answers: list[Any] = []
        events: list[Any] = []

        home = Home()

        async def django(_scope: Any, _receive: Any, _send: Any) -> None:
            loop = asyncio.get_running_loop()
            answers.append(await loop.run_in_executor(home, lambda: by_django(**asked)))

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(event: Any) -> None:
            events.append(event)

        entry = door.NotificationDoor(django, home)
        request_finished.disconnect(close_old_connections)  # as Django's client does
        try:
            credentials = vars(self)["_credentials"]  # REST framework keeps them there
            home.run_until(entry(_scope({**asked, **credentials}), receive, send))
        finally:
            request_finished.connect(close_old_connections)
        if answers:
            return answers[0]
        self.by_itself += 1
        response = _response(*events)
        api_calls.check(Operation("POST", door.PATH), response)
        return response


def _scope(asked: dict[str, Any]) -> dict[str, Any]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower().encode(): str(value).encode("latin1")
        for name, value in asked.items()
        if name.startswith(("HTTP_", "CONTENT_"))
    }
    return {
        "type": "http",
        "method": asked["REQUEST_METHOD"],
        "path": asked["PATH_INFO"],
        "query_string": asked.get("QUERY_STRING", "").encode(),
        "scheme": asked.get("wsgi.url_scheme", "http"),
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "headers": list({b"host": b"testserver", **headers}.items()),
    }


def _response(start: Any, content: Any) -> HttpResponse:
    response = HttpResponse(content["body"], status=start["status"])
    for name, value in start["headers"]:
        response[name.decode()] = value.decode()
    response.json = lambda: json.loads(response.content)  # type: ignore[attr-defined]  # as Django's client
    return response
