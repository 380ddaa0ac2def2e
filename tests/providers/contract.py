"""What every provider must do, whatever it carries and whoever the vendor is.

Subclassed once for each: `HttpContract` where the vendor is called over HTTP, `LoopContract` where
the engine calls it on its loop, `WebhookContract` where it reports back, `LookUpContract` where it
can be asked. What is special to email is in `email_contract`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl

import pytest
import time_machine
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone
from typing_extensions import override

from notifications.providers.base import BadSignature, LoopProvider, Provider, Webhook
from notifications.types import (
    ErrorClass,
    Inquiry,
    Outbound,
    ProviderError,
    Report,
    Sent,
)
from tests.fakes.behaviours import (
    Answer,
    Behaviour,
    Close,
    Drip,
    Exchange,
    Garbage,
    HalfBody,
    Hang,
    MalformedJson,
    Redirect,
    Reset,
    Status,
)
from tests.fakes.net import let_callbacks_run
from tests.fakes.server import FakeServer
from tests.fakes.wire import Request

T = TypeVar("T")

SECRET = "hunter2-very-secret"  # each provider's own is made to contain it
CONTENT = "Your code is 839201"
CONNECT_TIMEOUT, READ_TIMEOUT, SLOW = 0.3, 0.5, 1.5
PATIENCE = 10.0

RUNNERS = {
    "asyncio": asyncio.Runner(),
    "uvloop": asyncio.Runner(loop_factory=uvloop.new_event_loop),
}
"""Event loops like the engine's; each only turns while something runs on it. Closed by conftest.py."""

loop = "asyncio"
"""Which of them is used."""

by_loop = True
"""Whether providers that can be called on the loop are."""


class Vendor(ABC):
    """A provider and a fake of its vendor."""

    message: ClassVar[Outbound]
    """An ordinary message with `CONTENT` in it."""
    private: ClassVar[Sequence[str]] = ()
    """What no error and no log may tell, besides `SECRET` and `CONTENT`: the address, the sender."""

    fails: Sequence[Any] = ()
    """Behaviours of the server that answer with an error of the vendor, telling `private`."""
    silent: Any = Hang()
    """The server takes the message and never answers."""
    slow: Any = Answer(delay=SLOW)
    """The server answers as it should after `SLOW` seconds."""
    lost: Sequence[Any] = ()
    """The server takes the message and the connection ends without an answer."""
    refusal: Any
    """The server refuses a message in the ordinary way."""

    unsupported: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Changes to `message` that it cannot carry and must refuse, each with its name."""

    reads_answer: ClassVar[str]
    """The provider's method that runs once the vendor has answered."""

    @abstractmethod
    def make(self, port: int) -> Provider:
        """The provider, calling 127.0.0.1. Its secrets contain `SECRET`."""

    @abstractmethod
    def make_encrypted(self, port: int) -> Provider:
        """The same, calling localhost over TLS."""

    def calls(self, server: Any) -> int:
        """How many messages the server has been offered."""
        return len(server.ledger)

    @pytest.fixture(autouse=True)
    def _settings(self, settings):
        settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = PATIENCE

    @pytest.fixture
    def hurried(self, settings, _settings):
        """Waits briefly, for what is never done. To be asked for before the provider is made."""
        settings.PROVIDER_CONNECT_TIMEOUT = CONNECT_TIMEOUT
        settings.PROVIDER_READ_TIMEOUT = READ_TIMEOUT

    @pytest.fixture
    def provider(self, server: FakeServer) -> Iterator[Provider]:
        provider = self.make(server.port)
        yield provider
        close(provider)

    @pytest.fixture
    def opened(self, server, monkeypatch) -> list[Any]:
        """Every connection the server gets from here on."""
        found: list[Any] = []
        original = server._opened

        def note(transport: Any) -> None:
            found.append(transport)
            original(transport)

        monkeypatch.setattr(server, "_opened", note)
        return found


class ProviderContract(Vendor):
    """What can go wrong on the way, over any protocol."""

    def test_a_refused_connection_is_temporary(self, provider, server):
        server.refuse()
        assert failure(provider, self.message).error_class is ErrorClass.TEMPORARY

    def test_a_connection_nobody_takes_is_temporary(self, hurried):
        with full_port() as port:
            provider = self.make(port)
            error = failure(provider, self.message)
            close(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "connect_timeout")

    def test_a_server_without_a_trusted_certificate_is_our_fault(self, tmp_path):
        with impostor(tmp_path) as port:
            provider = self.make_encrypted(port)
            error = failure(provider, self.message)
            close(provider)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "certificate")

    def test_no_answer_is_ambiguous_and_not_asked_for_twice(self, hurried, provider, server):
        server.script.always(self.silent)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")
        assert self.calls(server) == 1

    def test_an_answer_may_take_longer_than_a_connection(self, server, settings):
        settings.PROVIDER_CONNECT_TIMEOUT = 0.8 * SLOW
        server.script.always(self.slow)
        provider = self.make(server.port)
        send(provider, self.message)
        close(provider)

    def test_a_lost_connection_is_ambiguous_and_not_tried_again(self, provider, server):
        assert self.lost
        for times, behaviour in enumerate(self.lost, start=1):
            server.script.always(behaviour)
            error = failure(provider, self.message)
            assert error.error_class is ErrorClass.AMBIGUOUS, behaviour
            assert self.calls(server) == times

    def test_errors_and_logs_tell_no_secret_address_or_content(
        self, hurried, provider, server, caplog
    ):
        caplog.set_level("DEBUG")
        hidden = (SECRET, CONTENT, *self.private)
        for behaviour in (self.silent, *self.lost, *self.fails):
            server.script.always(behaviour)
            error = failure(provider, self.message)
            told = tell(error) + repr(provider) + repr(self.message)
            assert not [private for private in hidden if private in told], behaviour
        server.refuse()
        told = tell(failure(provider, self.message)) + logged(caplog)
        assert not [private for private in hidden if private in told]

    def test_an_error_nobody_foresaw_is_one_of_ours(self, provider, monkeypatch, caplog):
        def explode(*_args: object, **_kwargs: object) -> None:
            raise LookupError(CONTENT)

        monkeypatch.setattr(type(provider), self.reads_answer, explode)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "LookupError")
        assert CONTENT not in tell(error) + logged(caplog)

    def test_an_error_before_the_call_sends_nothing(self, provider, server, caplog):
        error = failure(provider, replace(self.message, parts=Broken()))
        assert (error.error_class, error.code) == (ErrorClass.PERMANENT_MESSAGE, "LookupError")
        assert CONTENT not in tell(error) + logged(caplog)
        assert self.calls(server) == 0

    def test_what_it_cannot_carry_is_refused_and_not_dropped(self, provider, server, subtests):
        for name, changes in self.unsupported.items():
            with subtests.test(name):
                error = failure(provider, replace(self.message, **changes))
                assert error.error_class is ErrorClass.PERMANENT_MESSAGE
        assert self.calls(server) == 0

    def test_it_tells_whether_it_can_be_asked(self, provider):
        assert provider.looks_up == isinstance(self, LookUpContract)
        if not provider.looks_up:
            with pytest.raises(NotImplementedError):
                provider.status(inquiry(self.message))


@dataclass(frozen=True)
class Refusal:
    """A row of a vendor's error table: how the server answers, and what follows from it."""

    answer: Behaviour
    error_class: ErrorClass
    code: str
    is_opt_out: bool = False
    for_country: bool = False
    is_gone: bool = False


STATUSES: Mapping[int, ErrorClass] = {
    401: ErrorClass.AUTH_CONFIG,
    403: ErrorClass.AUTH_CONFIG,
    404: ErrorClass.AUTH_CONFIG,
    408: ErrorClass.AMBIGUOUS,
    413: ErrorClass.PERMANENT_MESSAGE,
    418: ErrorClass.PERMANENT_MESSAGE,
    429: ErrorClass.THROTTLED,
    500: ErrorClass.AMBIGUOUS,
    502: ErrorClass.AMBIGUOUS,
    503: ErrorClass.TEMPORARY,
    504: ErrorClass.AMBIGUOUS,
    599: ErrorClass.AMBIGUOUS,
}
"""An HTTP status with a page of a proxy for a body, to its class."""


class HttpContract(ProviderContract):
    """Over HTTP. The fake is a `FakeHttpServer`."""

    rich: ClassVar[Outbound]
    """A message with all that the provider can carry."""
    golden: ClassVar[str]
    """The file in `golden/` with the request for it, as `wire` writes it."""
    golden_headers: ClassVar[Sequence[str]] = ("authorization", "content-type")
    """The headers that are part of it."""

    lost: Sequence[Any] = (Reset(), Close(), Garbage())
    drips: Any = Drip()
    """The server's answer comes in pieces, each before a read timeout."""
    refusal: Any = Status(400)
    refusals: ClassVar[Sequence[Refusal]]
    """The whole of the vendor's error table."""
    statuses: ClassVar[Mapping[int, ErrorClass]] = STATUSES
    needs_body: ClassVar[bool] = True
    """Whether an answer of 200 that cannot be read leaves it open what became of the message."""

    @abstractmethod
    def make_at(self, url: str) -> Provider:
        """The provider, calling `url`, which has no slash at its end."""

    @override
    def make(self, port: int) -> Provider:
        return self.make_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> Provider:
        return self.make_at(f"https://localhost:{port}")

    def test_the_request(self, provider, server):
        send(provider, self.rich)
        (request,) = server.ledger
        golden = Path(__file__).parent / "golden" / self.golden
        assert wire(request, self.golden_headers) == golden.read_text(encoding="utf-8")

    def test_each_row_of_the_error_table(self, provider, server, subtests):
        for refusal in self.refusals:
            with subtests.test(refusal.code):
                before = self.calls(server)
                server.script.next(refusal.answer)
                error = failure(provider, self.message)
                assert (error.error_class, error.code) == (refusal.error_class, refusal.code)
                assert error.is_opt_out == refusal.is_opt_out
                assert error.for_country == refusal.for_country
                assert bool(error.gone_since) == refusal.is_gone
                assert self.calls(server) == before + 1

    def test_a_status_with_a_page_of_somebody_else(self, provider, server):
        for status, error_class in self.statuses.items():
            server.script.next(Status(status, b"<p>No.</p>", {"Content-Type": "text/html"}))
            error = failure(provider, self.message)
            assert (error.error_class, error.http_status) == (error_class, status)

    def test_an_error_without_its_usual_body(self, provider, server, subtests):
        for body in (b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"code": {}}'):
            with subtests.test(body=body):
                server.script.next(Status(503, body, {"Content-Type": "application/json"}))
                error = failure(provider, self.message)
                assert (error.error_class, error.http_status) == (ErrorClass.TEMPORARY, 503)

    def test_it_reads_how_long_to_wait(self, provider, server, subtests):
        for status, value, seconds in ((429, "7", 7), (503, "7", 7), (429, "soon", None)):
            with subtests.test(status=status, value=value):
                server.script.next(Status(status, headers={"Retry-After": value}))
                assert failure(provider, self.message).retry_after == seconds

    def test_a_redirect_is_not_followed(self, provider, server):
        server.script.next(Redirect(f"{server.url}/elsewhere"))
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "redirect")
        assert len(server.ledger) == 1

    def test_an_answer_that_cannot_be_read(self, provider, server, subtests):
        for answer in (MalformedJson(), MalformedJson(body=b"[]"), HalfBody()):
            with subtests.test(answer=answer):
                before = self.calls(server)
                server.script.next(answer)
                self._check_unreadable(provider)
                assert self.calls(server) == before + 1

    def test_a_huge_answer_is_not_read_to_its_end(self, provider, server):
        flood = Flood()
        server.script.next(flood)
        self._check_unreadable(provider)
        assert wait_until(lambda: flood.is_over)
        assert flood.size < Flood.LIMIT

    def _check_unreadable(self, provider: Provider) -> None:
        if self.needs_body:
            assert failure(provider, self.message).error_class is ErrorClass.AMBIGUOUS
        else:
            send(provider, self.message)

    def test_an_answer_that_drips_ends_too(self, hurried, provider, server):
        server.script.next(self.drips)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")

    def test_a_url_that_is_none_is_our_fault(self, subtests):
        for url in ("nonsense", "ftp://127.0.0.1", "http://"):
            with subtests.test(url):
                provider = self.make_at(url)
                error = failure(provider, self.message)
                close(provider)
                assert error.error_class is ErrorClass.AUTH_CONFIG

    def test_an_unknown_host_is_temporary(self):
        provider = self.make_at("http://no-such-host.invalid")
        error = failure(provider, self.message)
        close(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "connect_failed")


class LoopContract(Vendor):
    """What the engine's way of sending has to keep besides, where a provider is on its loop."""

    drips: Any = Drip()
    """The server's answer comes in pieces, each before a read timeout."""

    @override
    @pytest.fixture(params=RUNNERS)
    def provider(
        self, server: FakeServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Provider]:
        monkeypatch.setattr("tests.providers.contract.loop", request.param)
        provider = self.make(server.port)
        yield provider
        close(provider)

    def test_a_call_leaves_its_connection_to_the_next(self, provider, opened):
        for _ in range(3):
            send(provider, self.message)
        assert len(opened) == 1

    def test_calls_at_once_have_a_connection_each(self, provider, server, opened):
        server.script.always(self.slow)

        async def both() -> None:
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                tasks = [group.create_task(provider.carry([self.message])) for _ in range(2)]
            assert all(task.done() for task in tasks)

        run(both())
        assert len(opened) == 2
        assert self.calls(server) == 2

    def test_a_kept_connection_that_the_server_closes_is_replaced(self, provider, server, opened):
        for _ in range(3):
            send(provider, self.message)
            server.refuse()  # while nothing runs on our loop
            server.accept()
        assert len(opened) == 3
        assert self.calls(server) == 3

    def test_a_refusal_leaves_the_connection(self, provider, server, opened):
        server.script.next(self.refusal)
        failure(provider, self.message)
        send(provider, self.message)
        assert len(opened) == 1

    def test_a_call_that_is_interrupted_leaves_no_connection(self, provider, server):
        server.script.next(self.silent)

        async def interrupt() -> None:
            task = asyncio.ensure_future(provider.carry([self.message]))
            await asyncio.to_thread(self.wait_for_a_call, server)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(interrupt())
        run(let_callbacks_run())
        assert wait_until(lambda: server.connections == 0)
        send(provider, self.message)

    def wait_for_a_call(self, server: Any) -> None:
        server.ledger.wait_for(1)

    def test_an_answer_that_drips_ends_too(self, hurried, provider, server):
        server.script.next(self.drips)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")

    def test_each_loop_has_connections_of_its_own(self, provider, opened):
        send(provider, self.message)

        async def elsewhere() -> None:
            await provider.carry([self.message])
            await provider.aclose()

        asyncio.run(elsewhere())
        send(provider, self.message)
        assert len(opened) == 2

    def test_closing_closes(self, provider, server):
        send(provider, self.message)
        run(provider.aclose())
        run(let_callbacks_run())
        assert wait_until(lambda: server.connections == 0)
        run(provider.aclose())
        send(provider, self.message)


class LookUpContract(Vendor):
    """Of a provider that can be asked what became of a call that was not answered."""

    taken_but_lost: Any = Reset()
    not_taken: Any = Status(503)

    def test_a_call_that_was_taken_is_found(self, provider, server):
        server.script.next(self.taken_but_lost)
        failure(provider, self.message)
        events = provider.status(inquiry(self.message))
        assert events
        assert {event.attempt_id for event in events} == {self.message.attempt_id}
        assert all(event.provider_ref for event in events)

    def test_a_call_that_was_not_taken_is_not_found(self, provider, server):
        server.script.next(self.not_taken)
        failure(provider, self.message)
        assert provider.status(inquiry(self.message)) == []

    def test_a_vendor_that_cannot_be_asked_now(self, hurried, provider, server, caplog):
        for behaviour in (self.not_taken, self.silent, MalformedJson()):
            server.script.next(behaviour)
            told = tell(self._unanswered(provider))
            assert not [text for text in (SECRET, CONTENT, *self.private) if text in told]
        server.refuse()
        told = tell(self._unanswered(provider)) + logged(caplog)
        assert not [text for text in (SECRET, CONTENT, *self.private) if text in told]

    def _unanswered(self, provider: Provider) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            provider.status(inquiry(self.message))
        return caught.value


class WebhookContract(ABC):
    """What a vendor reports back. Captured payloads are files in `payloads/`, one request each."""

    now: ClassVar[datetime] = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    """The moment of all these tests."""

    captured: ClassVar[Mapping[str, Sequence[Report]]]
    """File name to what it tells."""
    path: ClassVar[str]
    """What the vendor calls behind PUBLIC_URL, with its query."""
    signature: ClassVar[str]
    """The header with the signature, in lower case; its value is base64."""
    unknown: ClassVar[Sequence[bytes]]
    """Bodies of kinds that we do not know."""
    malformed: ClassVar[Sequence[bytes]] = (b"", b"\xff", b"{", b"[1]", b"null")
    """Bodies that are not what the vendor documents."""

    @abstractmethod
    def receiver(self) -> Provider:
        """The provider, with all it needs to verify."""

    @abstractmethod
    def unprepared(self) -> Provider:
        """The provider without the means to verify."""

    @abstractmethod
    def sign(self, body: bytes) -> Webhook:
        """`body` as the vendor would send it, now, to `path`."""

    @pytest.fixture(autouse=True)
    def _now(self):
        with time_machine.travel(self.now, tick=False):
            yield

    def test_each_captured_payload(self, subtests):
        provider = self.receiver()
        for name, reports in self.captured.items():
            with subtests.test(name):
                webhook = self.sign(payload(name))
                provider.verify(webhook)
                assert list(provider.parse(replace(webhook, headers={}))) == list(reports)

    def test_no_other_signature_does(self):
        provider, webhook = self.receiver(), self.sign(self._any())
        given = webhook.headers[self.signature]
        wrong = [base64.b64encode(other).decode() for other in flips(base64.b64decode(given))]
        for text in ("", "no base64!", "ü", given[:-4], f"{given}, {given}", *wrong):
            forged = replace(webhook, headers={**webhook.headers, self.signature: text})
            with pytest.raises(BadSignature):
                provider.verify(forged)
        with pytest.raises(BadSignature):
            provider.verify(replace(webhook, headers={}))

    def test_each_bit_of_the_body_is_signed(self):
        provider, webhook = self.receiver(), self.sign(self._any())
        for body in (b"", *flips(webhook.body)):
            if not self.is_same(body, webhook.body):
                with pytest.raises(BadSignature):
                    provider.verify(replace(webhook, body=body))

    def test_without_the_means_to_verify_nothing_is_taken(self):
        provider = self.unprepared()
        assert provider.receipts_need
        with pytest.raises(BadSignature):
            provider.verify(self.sign(self._any()))
        assert self.receiver().receipts_need == ""

    def test_unknown_kinds_are_left_out(self):
        for body in self.unknown:
            assert list(self._parsed(body)) == [], body

    def test_a_body_nobody_documents_is_an_error(self):
        for body in self.malformed:
            with pytest.raises(ValueError):
                self._parsed(body)

    def is_same(self, one: bytes, other: bytes) -> bool:
        """Whether two bodies are two spellings of one, where it is not the bytes that are signed."""
        return one == other

    def _any(self) -> bytes:
        return payload(next(iter(self.captured)))

    def _parsed(self, body: bytes) -> Sequence[Report]:
        return self.receiver().parse(Webhook(body, {}, self.path))


def payload(name: str) -> bytes:
    """A captured body. A last line break is the editor's."""
    return (Path(__file__).parent / "payloads" / name).read_bytes().rstrip(b"\n")


@dataclass
class Flood(Behaviour):
    """The head of a usual answer, then blanks without end. Counts what the client lets it send."""

    LIMIT: ClassVar[int] = 64 * 2**20
    size: int = field(default=0, compare=False)
    is_over: bool = False

    @override
    async def play(self, exchange: Exchange) -> None:
        headers = {**exchange.response.headers, "Content-Type": "application/json"}
        head = replace(exchange.response, headers=headers, body=b"")
        try:
            await exchange.send(head.head(self.LIMIT))
            while self.size < self.LIMIT:
                await exchange.send(b" " * 65536)
                self.size += 65536
        finally:
            self.is_over = True
            exchange.close()


class Broken(Mapping[str, str]):
    """Parts that cannot be read."""

    @override
    def __getitem__(self, name: str) -> str:
        raise LookupError(CONTENT)

    @override
    def __iter__(self) -> Iterator[str]:
        raise LookupError(CONTENT)

    @override
    def __len__(self) -> int:
        raise LookupError(CONTENT)


def inquiry(message: Outbound, ref: str = "") -> Inquiry:
    """The question what became of `message`, sent just now."""
    return Inquiry(
        attempt_id=message.attempt_id,
        channel=message.channel,
        to=message.to,
        parts=message.parts,
        started_at=timezone.now(),
        ref=ref,
    )


def wire(request: Request, headers: Sequence[str]) -> str:
    """A request as a golden file holds it: JSON indented, a form with a line for each field."""
    given = [f"{name}: {request.headers[name]}" for name in headers]
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        body = "\n".join(f"{name}={value}" for name, value in pairs)
    else:
        body = json.dumps(json.loads(request.body), indent=2, ensure_ascii=False)
    return "\n".join([f"{request.method} {request.target}", *given, "", body, ""])


def run(call: Coroutine[Any, Any, T]) -> T:
    """On the loop of this test."""
    return RUNNERS[loop].run(call)


def send(provider: Provider, message: Outbound) -> Sent:
    """Send as the engine does."""
    if by_loop and isinstance(provider, LoopProvider):
        return run(provider.carry([message]))
    return provider.send(message)


def close(provider: Provider) -> None:
    """Close what this thread and the loop of this test have open."""
    getattr(provider, "close", lambda: None)()
    run(provider.aclose())


def wait_until(condition: Callable[[], bool], timeout: float = 5) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.01)
    return condition()


def failure(provider: Provider, message: Outbound) -> ProviderError:
    """The error of sending `message`."""
    with pytest.raises(ProviderError) as caught:
        send(provider, message)
    return caught.value


def tell(error: ProviderError) -> str:
    """All a log or an error tracker would say about an error."""
    trace = "".join(traceback.format_exception(error))
    return "\n".join([str(error), repr(error), error.code, error.detail, trace])


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, but by the SMTP fake, which runs in this process and tells everything."""
    ours = [record for record in caplog.records if record.name != "mail.log"]
    return "\n".join(f"{record.getMessage()} {record.exc_info}" for record in ours)


def flips(data: bytes) -> list[bytes]:
    """`data` with each of its bits flipped in turn."""
    return [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]


@contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of new connections is full, so that the next one waits for ever."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        try:
            yield server.getsockname()[1]
        finally:
            for client in waiting:
                client.close()


@contextmanager
def impostor(folder: Path) -> Iterator[int]:
    """A port with a TLS server whose certificate nobody trusts."""
    context, _ = own_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_shake_hands, args=(server, context))
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def own_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """For a server at `localhost`, signed by itself, and the file of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, pem


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    server.settimeout(20)
    client, _ = server.accept()
    with client, suppress(OSError):
        client.settimeout(20)
        context.wrap_socket(client, server_side=True).close()
