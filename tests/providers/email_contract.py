"""What every email provider must do besides: what arrives, and plain Django mail in threads."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.message import EmailMessage as Mime
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers.base import Provider
from notifications.providers.common import email
from notifications.providers.common.email import EmailProvider
from notifications.types import Attachment, Channel, ErrorClass, Outbound, ProviderError, Sent
from tests.providers import contract
from tests.providers.contract import CONTENT, SECRET, ProviderContract, Vendor, logged, tell

ADDRESS = "anna.schmidt@kunde.example"
FROM = "Comms Team <notifications@example.com>"
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


class EmailVendor(Vendor):
    """A provider of email and a fake of its vendor."""

    message = RICH
    private = (ADDRESS, "notifications@example.com")
    reads_answer = "receipt"
    unsupported: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "no content": {"parts": {"subject": "Hi"}},
        "two lines of subject": {"parts": {"subject": "Hi\nBcc: c@d.example", "text": "x"}},
        "two lines of reply-to": {"reply_to": "a@b.example\nBcc: c@d.example"},
        "reply-to without address": {"reply_to": "no address at all <"},
        "a header of two lines": {"headers": {"X-A": "1\r\nBcc: c@d.example"}},
        "a header with a blank": {"headers": {"X A": "1"}},
        "a header of ours": {"headers": {"to": "c@d.example"}},
        "a file name of two lines": {"attachments": (Attachment("a\nb", b"", "text/plain"),)},
        "a file of no type": {"attachments": (Attachment("a", b"", "nothing"),)},
    }

    @override
    @abstractmethod
    def make(self, port: int) -> EmailProvider: ...

    @override
    @abstractmethod
    def make_encrypted(self, port: int) -> EmailProvider: ...

    @abstractmethod
    def arrived(self, server: Any) -> list[Arrived]: ...

    @pytest.fixture(autouse=True)
    def _sender(self, settings):
        settings.DEFAULT_FROM_EMAIL = FROM


class EmailContract(EmailVendor, ProviderContract):
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

    def test_an_address_that_is_none_never_leaves(self, provider, server, subtests):
        for to in (
            "nobody",
            "a@b.example, c@d.example",
            "a\1@b.example",
            "a@b.example\r\nBcc: c@d.example",
        ):
            with subtests.test(to=to):
                error = failure(provider, replace(PLAIN, to=to))
                assert error.error_class is ErrorClass.PERMANENT_RECIPIENT
        assert self.calls(server) == 0

    def test_a_mail_to_nobody_is_an_error(self, provider, server):
        with pytest.raises(ProviderError) as caught:
            provider.deliver(EmailMessage("Hi", CONTENT, FROM, []))
        assert caught.value.error_class is ErrorClass.PERMANENT_MESSAGE
        assert self.calls(server) == 0

    @override
    def test_an_error_nobody_foresaw_is_one_of_ours(self, provider, monkeypatch, caplog):
        def explode(*_args: object) -> None:
            raise LookupError(CONTENT)

        monkeypatch.setattr(type(provider), self.reads_answer, explode)
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


class ThreadContract(EmailContract):
    """The way of plain Django mail, of a provider that the engine calls on its loop."""

    @pytest.fixture(autouse=True)
    def _by_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.providers.contract.by_loop", False)


class LoopContract(EmailVendor, contract.LoopContract):
    """The engine's way of sending, of a provider that also takes plain Django mail in threads."""

    def test_the_blocking_way_sends_the_same(self, provider, server):
        send(provider)
        provider.send(RICH)
        ours, djangos = self.arrived(server)
        ours.everything = djangos.everything = ""
        assert ours == djangos


def send(provider: Provider, message: Outbound = RICH) -> Sent:
    """Send as the engine does."""
    return contract.send(provider, message)


def failure(provider: Provider, message: Outbound = RICH) -> ProviderError:
    """The error of sending `message`."""
    return contract.failure(provider, message)


def deliver(provider: EmailProvider) -> None:
    """Send as plain Django mail is sent."""
    provider.deliver(provider.build(PLAIN))


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
