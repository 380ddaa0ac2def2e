from __future__ import annotations

import asyncio
import itertools

from typing_extensions import override

from tests.fakes.behaviours import Answer, Behaviour, Exchange
from tests.fakes.ledger import Ledger
from tests.fakes.script import Script
from tests.fakes.server import StreamServer
from tests.fakes.wire import Request, Response, read_request


class FakeHttpServer(StreamServer):
    """An HTTP/1.1 server that answers by `respond`, or as its script says.

    Every request goes into the ledger before anything is answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.script: Script[Behaviour] = Script(Answer())
        self.ledger: Ledger[Request] = Ledger()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def respond(self, request: Request) -> Response:
        """The normal answer. Runs on the server's thread, and only for what is taken."""
        return Response.of(200, {"ok": True})

    def recipients(self, request: Request) -> tuple[str, ...]:
        """Whom the request is for, so that `script.when` finds it."""
        return ()

    def error(self, status: int) -> Response:
        """The provider's shape of an error."""
        return Response.of(status, {"error": f"scripted {status}"})

    @property
    def accepted(self) -> list[Request]:
        """The requests a real provider would act on, whatever the client got to hear."""
        return self.ledger.where(lambda request: request.accepted)

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._numbers)
        peer, *_ = writer.get_extra_info("peername") or [""]
        keep_open = True
        while keep_open:
            request = await read_request(reader, writer)
            request.connection = connection
            request.peer = peer
            keep_open = await self._exchange(request, reader, writer)

    async def _exchange(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        request.recipients = self.recipients(request)
        behaviour = self.script.choose(request.recipients)
        request.behaviour = behaviour.name
        response = Response()
        if behaviour.accepts:
            response = self.respond(request)
            request.status = response.status
            request.accepted = 200 <= response.status < 300
        self.ledger.add(request)
        keep_open = request.headers.get("connection", "").lower() != "close"
        exchange = Exchange(request, response, self.error, reader, writer, keep_open)
        await behaviour.play(exchange)
        return exchange.keep_open
