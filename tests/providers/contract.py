"""What every email provider must do, whoever the vendor is. Subclassed once for each of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage as Mime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers import email
from notifications.providers.base import LoopProvider
from notifications.providers.email import EmailProvider
from notifications.types import Attachment, Channel, ErrorClass, Outbound, ProviderError, Sent
from tests.fakes.net import let_callbacks_run
from tests.fakes.server import FakeServer

T = TypeVar("T")

ADDRESS = "anna.schmidt@kunde.example"
SECRET = "hunter2-very-secret"  # each provider's own is made to contain it
CONTENT = "Your code is 839201"
FROM = "Comms Team <notifications@example.com>"
CONNECT_TIMEOUT, READ_TIMEOUT, SLOW = 0.3, 0.4, 0.6
CSV = "name;größe\nAnna;3\n".encode()
PNG = bytes(range(256))

RICH = Outbound(
    attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
    delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
    notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
    channel=Channel.EMAIL,
    to=ADDRESS,
    parts={
        "subject": "Grüße aus 世界 ✓",
        "text": f"Hallo Anna, schöne Grüße.\n.\n{CONTENT}\n",
        "html": f'<p style="color:red">Hallo <b>Anna</b>, schöne Grüße ✓. {CONTENT}</p>\n',
        "preheader": "already in the html",
    },
    agent_id="agent-1",
    template_id="welcome.v3",
    reply_to="Hilfe <help@example.com>",
    headers={
        "List-Unsubscribe": f"<https://comms.example.com/u/{'x' * 120}>, <mailto:u@example.com>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    },
    tags=("welcome", "first mail", "welcome"),
    metadata={"order": "A17", "count": 3, "attempt_id": "forged"},
    attachments=(
        Attachment("größe.csv", CSV, "text/csv"),
        Attachment("pixel.png", PNG, "image/png"),
    ),
)
PLAIN = replace(
    RICH, parts={"subject": "Hi", "text": CONTENT}, headers={}, attachments=(), reply_to=""
)
MESSAGE_ID = "<019a0000-0000-7000-8000-000000000002@example.com>"


RUNNERS = {
    "asyncio": asyncio.Runner(),
    "uvloop": asyncio.Runner(loop_factory=uvloop.new_event_loop),
}
"""Event loops like the engine's; each only turns while something runs on it. Closed by conftest.py."""

loop = "asyncio"
"""Which of them is used."""

by_loop = True
"""Whether providers that can be called on the loop are."""


@dataclass
class Arrived:
    """A mail as the vendor has it."""

    to: list[str]
    sender: str
    subject: str
    text: str
    html: str
    reply_to: str
    headers: dict[str, str] = field(default_factory=dict)
    attachments: list[tuple[str, str, bytes]] = field(default_factory=list)
    everything: str = ""
    """All that the recipient gets to see."""


class Vendor(ABC):
    """A provider and a fake of its vendor."""

    fails: Sequence[Any] = ()
    """Behaviours of the server that answer with an error of the vendor, telling the address."""
    silent: Any
    """The server takes the mail and never answers."""
    slow: Any
    """The server answers as it should after `SLOW` seconds."""
    lost: Sequence[Any] = ()
    """The server takes the mail and the connection ends without an answer."""
    refusal: Any
    """The server refuses a mail in the ordinary way."""

    @abstractmethod
    def make(self, port: int) -> EmailProvider:
        """The provider, calling 127.0.0.1. Its secrets contain `SECRET`."""

    @abstractmethod
    def make_encrypted(self, port: int) -> EmailProvider:
        """The same, calling localhost over TLS."""

    @abstractmethod
    def arrived(self, server: Any) -> list[Arrived]: ...

    @abstractmethod
    def calls(self, server: Any) -> int:
        """How many mails the server has been offered."""

    @pytest.fixture(autouse=True)
    def _settings(self, settings):
        settings.PROVIDER_CONNECT_TIMEOUT = CONNECT_TIMEOUT
        settings.PROVIDER_READ_TIMEOUT = READ_TIMEOUT
        settings.DEFAULT_FROM_EMAIL = FROM

    @pytest.fixture
    def provider(self, server: FakeServer) -> Iterator[EmailProvider]:
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
    # What arrives

    def test_a_rich_message_arrives_intact(self, provider, server):
        send(provider, RICH)
        (mail,) = self.arrived(server)
        assert mail.to == [ADDRESS]
        assert mail.sender == FROM
        assert mail.subject == RICH.parts["subject"]
        assert lines(mail.text) == lines(RICH.parts["text"])
        assert lines(mail.html) == lines(RICH.parts["html"])
        assert mail.reply_to == RICH.reply_to
        assert mail.headers == RICH.headers
        assert mail.attachments == [
            ("größe.csv", "text/csv", CSV),
            ("pixel.png", "image/png", PNG),
        ]

    @pytest.mark.parametrize("part", ["text", "html"])
    def test_one_part_is_enough(self, provider, server, part):
        send(provider, replace(PLAIN, parts={"subject": "Hi", part: CONTENT}))
        (mail,) = self.arrived(server)
        assert getattr(mail, part).strip() == CONTENT
        assert {mail.text.strip(), mail.html.strip()} == {CONTENT, ""}

    def test_the_recipient_sees_nothing_of_our_ids(self, provider, server):
        send(provider, RICH)
        (mail,) = self.arrived(server)
        for private in ("A17", "first mail", "agent-1", "welcome.v3", str(RICH.attempt_id)):
            assert private not in mail.everything

    def test_any_django_mail_is_delivered(self, provider, server):
        provider.deliver(EmailMessage("Hi", CONTENT, FROM, [ADDRESS], cc=["boss@kunde.example"]))
        assert {address for mail in self.arrived(server) for address in mail.to} == {
            ADDRESS,
            "boss@kunde.example",
        }

    @pytest.mark.parametrize(
        ("change", "error_class"),
        [
            ({"to": "nobody"}, ErrorClass.PERMANENT_RECIPIENT),
            ({"to": "a@b.example, c@d.example"}, ErrorClass.PERMANENT_RECIPIENT),
            ({"to": "a\1@b.example"}, ErrorClass.PERMANENT_RECIPIENT),
            ({"to": "a@b.example\r\nBcc: c@d.example"}, ErrorClass.PERMANENT_RECIPIENT),
            ({"parts": {"subject": "Hi"}}, ErrorClass.PERMANENT_MESSAGE),
            ({"parts": {"subject": "Hi\nBcc: c@d.example", "text": "x"}}, None),
            ({"reply_to": "a@b.example\nBcc: c@d.example"}, None),
            ({"reply_to": "no address at all <"}, None),
            ({"headers": {"X-A": "1\r\nBcc: c@d.example"}}, None),
            ({"headers": {"X A": "1"}}, None),
            ({"headers": {"to": "c@d.example"}}, None),
            ({"attachments": (Attachment("a\nb", b"", "text/plain"),)}, None),
            ({"attachments": (Attachment("a", b"", "nothing"),)}, None),
        ],
    )
    def test_what_nobody_can_send_never_leaves(self, provider, server, change, error_class):
        error = failure(provider, replace(PLAIN, **change))
        assert error.error_class is (error_class or ErrorClass.PERMANENT_MESSAGE)
        assert self.calls(server) == 0

    def test_a_mail_to_nobody_is_an_error(self, provider, server):
        with pytest.raises(ProviderError) as caught:
            provider.deliver(EmailMessage("Hi", CONTENT, FROM, []))
        assert caught.value.error_class is ErrorClass.PERMANENT_MESSAGE
        assert self.calls(server) == 0

    # What goes wrong on the way

    def test_a_refused_connection_is_temporary(self, provider, server):
        server.refuse()
        assert failure(provider).error_class is ErrorClass.TEMPORARY

    def test_a_connection_nobody_takes_is_temporary(self):
        with full_port() as port:
            provider = self.make(port)
            error = failure(provider)
            close(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "connect_timeout")

    def test_a_server_without_a_trusted_certificate_is_our_fault(self, tmp_path):
        with impostor(tmp_path) as port:
            provider = self.make_encrypted(port)
            error = failure(provider)
            close(provider)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "certificate")

    def test_no_answer_is_ambiguous_and_not_asked_for_twice(self, provider, server):
        server.script.always(self.silent)
        started = time.monotonic()
        error = failure(provider)
        assert time.monotonic() - started < 5
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")
        assert self.calls(server) == 1

    def test_an_answer_may_take_longer_than_a_connection(self, server, settings):
        settings.PROVIDER_READ_TIMEOUT = 5.0
        server.script.always(self.slow)
        provider = self.make(server.port)
        send(provider, PLAIN)
        close(provider)

    def test_a_lost_connection_is_ambiguous_and_not_tried_again(self, provider, server):
        for times, behaviour in enumerate(self.lost, start=1):
            server.script.always(behaviour)
            error = failure(provider)
            assert error.error_class is ErrorClass.AMBIGUOUS, behaviour
            assert self.calls(server) == times

    def test_errors_and_logs_tell_no_secret_address_or_content(self, provider, server, caplog):
        caplog.set_level("DEBUG")
        for behaviour in (self.silent, *self.lost, *self.fails):
            server.script.always(behaviour)
            told = tell(failure(provider)) + repr(provider) + repr(RICH)
            for private in (SECRET, ADDRESS, CONTENT, "notifications@example.com"):
                assert private not in told, behaviour
        server.refuse()
        told = tell(failure(provider)) + logged(caplog)
        for private in (SECRET, ADDRESS, CONTENT, "notifications@example.com"):
            assert private not in told

    def test_an_error_nobody_foresaw_is_one_of_ours(self, provider, monkeypatch, caplog):
        def explode(*_args: object) -> None:
            raise LookupError(CONTENT)

        monkeypatch.setattr(type(provider), "receipt", explode)
        with pytest.raises(ProviderError) as caught:
            deliver(provider)
        error = caught.value
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "LookupError")
        assert CONTENT not in tell(error) + logged(caplog)

    # Connections of threads: of every message where there is no loop, else of plain Django mail

    def test_a_thread_keeps_its_connection(self, provider, opened):
        for _ in range(3):
            deliver(provider)
        assert len(opened) == 1

    def test_an_error_replaces_the_connection(self, provider, server, opened):
        server.script.next(self.refusal)
        with pytest.raises(ProviderError):
            deliver(provider)
        deliver(provider)
        assert len(opened) == 2

    def test_an_interrupted_worker_leaves_no_connection(self, provider, opened, monkeypatch):
        def interrupt(*_args: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(type(provider), "receipt", interrupt)
            with pytest.raises(KeyboardInterrupt):
                deliver(provider)
        deliver(provider)
        assert len(opened) == 2

    def test_a_connection_that_does_not_close_is_forgotten(self, provider, opened, monkeypatch):
        def fail() -> None:
            raise OSError(SECRET)

        deliver(provider)
        backend = provider._slot.backend
        with monkeypatch.context() as patch:
            patch.setattr(backend, "close", fail)
            provider.close()
        backend.close()
        deliver(provider)
        assert len(opened) == 2

    def test_an_idle_connection_is_replaced(self, provider, opened, monkeypatch):
        deliver(provider)
        monkeypatch.setattr(email, "IDLE_SECONDS", 0.0)
        deliver(provider)
        assert len(opened) == 2

    def test_each_thread_has_a_connection_of_its_own(self, provider, opened):
        sent, over = threading.Event(), threading.Event()

        def other() -> None:
            deliver(provider)
            sent.set()
            over.wait(10)
            provider.close()

        deliver(provider)
        thread = threading.Thread(target=other)
        thread.start()
        assert sent.wait(10)
        deliver(provider)
        assert len(opened) == 2
        over.set()
        thread.join(10)


class ThreadContract(ProviderContract):
    """The way of plain Django mail, of a provider that the engine calls on its loop."""

    @pytest.fixture(autouse=True)
    def _by_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.providers.contract.by_loop", False)


class LoopContract(Vendor):
    """What the engine's way of sending has to keep besides, where a provider is on its loop."""

    drips: Any
    """The server's answer comes in pieces, each before a read timeout."""

    @override
    @pytest.fixture(params=RUNNERS)
    def provider(
        self, server: FakeServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[EmailProvider]:
        monkeypatch.setattr("tests.providers.contract.loop", request.param)
        provider = self.make(server.port)
        yield provider
        close(provider)

    def test_the_blocking_way_sends_the_same(self, provider, server):
        send(provider)
        provider.send(RICH)
        ours, djangos = self.arrived(server)
        ours.everything = djangos.everything = ""
        assert ours == djangos

    def test_a_call_leaves_its_connection_to_the_next(self, provider, opened):
        for _ in range(3):
            send(provider, PLAIN)
        assert len(opened) == 1

    def test_calls_at_once_have_a_connection_each(self, provider, server, opened, settings):
        settings.PROVIDER_READ_TIMEOUT = 5.0
        server.script.always(self.slow)

        async def both() -> None:
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(provider.carry([replace(PLAIN, to=to)]))
                    for to in ("a@kunde.example", "b@kunde.example")
                ]
            assert all(task.done() for task in tasks)

        run(both())
        assert len(opened) == 2
        assert len(self.arrived(server)) == 2

    def test_a_kept_connection_that_the_server_closes_is_replaced(self, provider, server, opened):
        for _ in range(3):
            send(provider, PLAIN)
            server.refuse()  # while nothing runs on our loop
            server.accept()
        assert len(opened) == 3
        assert self.calls(server) == 3

    def test_a_refusal_leaves_the_connection(self, provider, server, opened):
        server.script.next(self.refusal)
        failure(provider, PLAIN)
        send(provider, PLAIN)
        assert len(opened) == 1

    def test_a_call_that_is_interrupted_leaves_no_connection(self, provider, server):
        server.script.next(self.silent)

        async def interrupt() -> None:
            task = asyncio.ensure_future(provider.carry([PLAIN]))
            await asyncio.to_thread(self.wait_for_a_call, server)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(interrupt())
        run(let_callbacks_run())
        assert wait_until(lambda: server.connections == 0)
        send(provider, PLAIN)

    @abstractmethod
    def wait_for_a_call(self, server: Any) -> None: ...

    def test_an_answer_that_drips_ends_too(self, provider, server, settings):
        settings.PROVIDER_READ_TIMEOUT = READ_TIMEOUT
        server.script.next(self.drips)
        started = time.monotonic()
        error = failure(provider, PLAIN)
        assert time.monotonic() - started < 3
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")

    def test_an_error_before_the_call_sends_nothing(self, provider, server, caplog):
        class Broken(dict[str, str]):
            @override
            def items(self) -> Any:
                raise LookupError(CONTENT)

        error = failure(provider, replace(PLAIN, headers=Broken({"X-A": "1"})))
        assert (error.error_class, error.code) == (ErrorClass.PERMANENT_MESSAGE, "LookupError")
        assert CONTENT not in tell(error) + logged(caplog)
        assert self.calls(server) == 0

    def test_each_loop_has_connections_of_its_own(self, provider, opened):
        send(provider, PLAIN)

        async def elsewhere() -> None:
            await provider.carry([PLAIN])
            await provider.aclose()

        asyncio.run(elsewhere())
        send(provider, PLAIN)
        assert len(opened) == 2

    def test_closing_closes(self, provider, server):
        send(provider, PLAIN)
        run(provider.aclose())
        run(let_callbacks_run())
        assert wait_until(lambda: server.connections == 0)
        run(provider.aclose())
        send(provider, PLAIN)


def run(call: Coroutine[Any, Any, T]) -> T:
    """On the loop of this test."""
    return RUNNERS[loop].run(call)


def send(provider: EmailProvider, message: Outbound = RICH) -> Sent:
    """Send as the engine does."""
    if by_loop and isinstance(provider, LoopProvider):
        return run(provider.carry([message]))
    return provider.send(message)


def deliver(provider: EmailProvider) -> None:
    """Send as plain Django mail is sent."""
    provider.deliver(provider.build(PLAIN))


def close(provider: EmailProvider) -> None:
    provider.close()
    if isinstance(provider, LoopProvider):
        run(provider.aclose())


def wait_until(condition: Callable[[], bool], timeout: float = 5) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.01)
    return condition()


def failure(provider: EmailProvider, message: Outbound = RICH) -> ProviderError:
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


def lines(text: str) -> list[str]:
    """Text without regard to its line ends, which mail may change."""
    return text.rstrip().splitlines()


def from_mime(message: Mime, to: list[str]) -> Arrived:
    """A mail as a mail client would show it."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    return Arrived(
        to=to,
        sender=str(message["From"]),
        subject=str(message["Subject"]),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
        reply_to=str(message["Reply-To"] or ""),
        headers={  # a line may be folded where it has a space
            name: " ".join(str(message[name]).split()) for name in RICH.headers if name in message
        },
        attachments=[
            (part.get_filename() or "", part.get_content_type(), _bytes(part))
            for part in message.iter_attachments()
        ],
        everything=message.as_string(),
    )


def _bytes(part: Mime) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


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
        thread.join(5)


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
    server.settimeout(5)
    client, _ = server.accept()
    with client, suppress(OSError):
        client.settimeout(5)
        context.wrap_socket(client, server_side=True).close()
