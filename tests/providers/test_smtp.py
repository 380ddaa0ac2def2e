from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage as Mime
from typing import Any

import pytest
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers import smtp_loop
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.common.email import EmailProvider
from notifications.providers.smtp import ANY, REPLIES, SMTP
from notifications.types import Attachment, ErrorClass
from tests.fakes.smtp import ReceivedMail, SmtpServer
from tests.fakes.smtp_behaviours import Disconnect, Drip, Reply, Stage, Stall, Take
from tests.providers.contract import CONTENT, SECRET, SLOW, close, logged, own_certificate, run
from tests.providers.email_contract import (
    ADDRESS,
    FROM,
    MESSAGE_ID,
    PLAIN,
    RICH,
    Arrived,
    EmailContract,
    EmailVendor,
    LoopContract,
    ThreadContract,
    failure,
    from_mime,
    send,
)

RECIPIENT, MESSAGE = ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE
CONFIG, THROTTLED = ErrorClass.AUTH_CONFIG, ErrorClass.THROTTLED
TEMPORARY, AMBIGUOUS = ErrorClass.TEMPORARY, ErrorClass.AMBIGUOUS

TELLING = f"<{ADDRESS}>: {CONTENT}"


@pytest.fixture
def server():
    with SmtpServer("relay", SECRET) as server:
        yield server


class _Smtp(EmailVendor):
    silent = Stall("END")
    slow = Take(delay=SLOW)
    lost = (Disconnect("END"), Disconnect("END", rst=True))
    fails = (
        Reply("MAIL", f"550 5.7.1 {TELLING}"),
        Reply("RCPT", f"550 5.1.1 {TELLING}"),
        Reply("DATA", f"554 {TELLING}"),
        Reply("END", f"451 {TELLING}"),
    )
    refusal = Reply("RCPT", "450 4.2.1 later")

    @override
    def make(self, port: int) -> EmailProvider:
        return SMTP("smtp", url=f"smtp://relay:{SECRET}@127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> EmailProvider:
        return SMTP("smtp", url=f"smtp+ssl://relay:{SECRET}@localhost:{port}")

    @override
    def arrived(self, server: SmtpServer) -> list[Arrived]:
        return [_arrived(mail) for mail in server.ledger]

    @override
    def calls(self, server: SmtpServer) -> int:
        return len([command for command, _ in server.commands if command == "MAIL"])


class TestSmtpInThreads(_Smtp, ThreadContract):
    @pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("kind", [Stall, Disconnect])
    def test_an_end_before_the_mail_was_handed_over_is_temporary(
        self, provider, server, stage, kind
    ):
        server.script.next(kind(stage))
        assert failure(provider, PLAIN).error_class is TEMPORARY
        assert self.calls(server) == 1

    def test_a_wrong_password(self, server):
        provider = SMTP("smtp", url=f"smtp://relay:wrong@127.0.0.1:{server.port}")
        error = failure(provider, PLAIN)
        assert (error.error_class, error.code) == (CONFIG, "535 5.7.8")


class TestSmtpOnLoops(_Smtp, LoopContract):
    drips = Drip("END")

    @override
    def wait_for_a_call(self, server: SmtpServer) -> None:
        server.ledger.wait_for(1)

    @pytest.mark.parametrize("end", [Disconnect("MAIL"), Reply("MAIL", "421 4.4.2 idle too long")])
    def test_a_kept_connection_that_ends_at_the_next_mail_is_replaced(
        self, provider, server, opened, end
    ):
        send(provider, PLAIN)
        server.script.next(end)
        send(provider, PLAIN)
        assert len(opened) == 2
        assert len(server.accepted) == 2

    def test_a_new_connection_that_ends_is_not_tried_again(self, provider, server):
        server.script.always(Disconnect("MAIL"))
        assert failure(provider, PLAIN).error_class is TEMPORARY
        assert self.calls(server) == 1

    def test_a_kept_connection_unused_for_long_is_replaced(self, provider, opened, monkeypatch):
        send(provider, PLAIN)
        monkeypatch.setattr(smtp_loop, "IDLE_SECONDS", -1.0)
        send(provider, PLAIN)
        assert len(opened) == 2

    def test_a_call_that_finds_all_connections_in_use_is_temporary(
        self, hurried, provider, server, monkeypatch
    ):
        monkeypatch.setattr(smtp_loop, "CONNECTIONS", 1)
        server.script.always(self.silent)

        async def both() -> list[Any]:
            calls = [provider.carry([PLAIN]), provider.carry([PLAIN])]
            return await asyncio.gather(*calls, return_exceptions=True)

        first, second = run(both())
        assert (first.error_class, first.code) == (AMBIGUOUS, "read_timeout")
        assert (second.error_class, second.code) == (TEMPORARY, "busy")
        assert self.calls(server) == 1

    @pytest.mark.parametrize("login", ["", f"relay:{SECRET}@"])
    @pytest.mark.parametrize("scheme", ["smtp", "smtp+tls", "smtp+ssl"])
    @pytest.mark.usefixtures("provider")  # for its loop
    def test_each_kind_of_relay(self, scheme, login, tmp_path, monkeypatch):
        context, trusted = own_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        relay = SmtpServer("relay", SECRET) if login else SmtpServer()
        relay.tls = context if scheme == "smtp+ssl" else None
        relay.start_tls = context if scheme == "smtp+tls" else None
        with relay:
            provider = SMTP("smtp", url=f"{scheme}://{login}localhost:{relay.port}")
            send(provider, PLAIN)
            send(provider, RICH)
            close(provider)
        assert len(relay.accepted) == 2

    @pytest.mark.usefixtures("hurried", "provider")
    def test_a_server_that_knows_helo_only(self):
        with deaf(knows_ehlo=False) as port:
            provider = SMTP("smtp", url=f"smtp://127.0.0.1:{port}")
            assert failure(provider, PLAIN).code == "read_timeout"  # after DATA
            close(provider)

    @pytest.mark.usefixtures("hurried")
    def test_a_mail_of_which_a_part_has_left_is_temporary(self):
        with deaf() as port:
            provider = SMTP("smtp", url=f"smtp://127.0.0.1:{port}")
            big = Attachment("a.bin", bytes(20_000_000), "application/octet-stream")
            error = failure(provider, replace(PLAIN, attachments=(big,)))
            close(provider)
        assert (error.error_class, error.code) == (TEMPORARY, "read_timeout")


class TestSmtp(_Smtp, EmailContract):
    def test_the_mail(self, provider, server):
        send(provider, RICH)
        (mail,) = server.ledger
        assert (mail.mail_from, mail.recipients) == ("notifications@example.com", (ADDRESS,))
        assert str(mail.message["Message-ID"]).strip() == MESSAGE_ID
        assert [part.get_content_type() for part in mail.message.walk()] == [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "text/csv",
            "image/png",
        ]

    def test_the_second_attempt_has_the_same_message_id(self, provider, server):
        for attempt in (RICH.attempt_id, RICH.notification_id):
            send(provider, replace(PLAIN, attempt_id=attempt))
        assert len({str(mail.message["Message-ID"]) for mail in server.ledger}) == 1

    @pytest.mark.parametrize(
        ("stage", "reply", "error_class"),
        [
            ("MAIL", "530 5.7.0 Authentication required", CONFIG),
            ("RCPT", "535 5.7.8 no", CONFIG),
            ("MAIL", "454 Throttling failure: Maximum sending rate exceeded", THROTTLED),
            ("RCPT", "421 4.7.28 rate limited", THROTTLED),
            ("END", "454 4.7.0 slow down", THROTTLED),
            ("MAIL", "421 going down", TEMPORARY),
            ("MAIL", "452 4.3.1 disk full", TEMPORARY),
            ("RCPT", "450 4.2.1 greylisted", TEMPORARY),
            ("DATA", "451 4.3.0 try later", TEMPORARY),
            ("END", "451 4.3.0 try later", TEMPORARY),
            ("END", "421 4.3.2 closing", TEMPORARY),
            ("MAIL", "552 5.3.4 too large", MESSAGE),
            ("RCPT", "552 5.2.2 full", MESSAGE),
            ("MAIL", "550 5.7.1 sender not allowed", CONFIG),
            ("MAIL", "501 5.1.7 bad sender", CONFIG),
            ("RCPT", "550 5.1.8 bad sender domain", CONFIG),
            ("RCPT", "550 5.1.1 user unknown", RECIPIENT),
            ("RCPT", "501 5.1.3 bad address", RECIPIENT),
            ("END", "554 5.1.1 unknown after all", RECIPIENT),
            ("RCPT", "550 5.7.1 relaying denied", MESSAGE),
            ("RCPT", "550 relay not permitted", MESSAGE),
            ("RCPT", "550 authentication required", MESSAGE),
            ("RCPT", "551 not local", MESSAGE),
            ("RCPT", "553 not in my list of allowed rcpthosts (#5.7.1)", MESSAGE),
            ("RCPT", "550 no mailbox here by that name. (#5.1.1)", RECIPIENT),
            ("RCPT", "550 Requested action not taken [5.1.1]", RECIPIENT),
            ("RCPT", "550 your host 5.1.1.20 is listed", MESSAGE),
            ("RCPT", "550 bad sender domain (#5.1.8)", CONFIG),
            ("RCPT", "554 transaction failed", MESSAGE),
            ("DATA", "554 no valid recipients", MESSAGE),
            ("END", "550 5.7.1 content rejected", MESSAGE),
            ("END", "554 5.6.0 malformed", MESSAGE),
        ],
    )
    def test_each_refusal(self, provider, server, stage: Stage, reply, error_class):
        server.script.next(Reply(stage, reply))
        error = failure(provider, PLAIN)
        assert error.error_class is error_class
        assert all(part in reply for part in error.code.split())
        assert self.calls(server) == 1

    @pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("kind", [Stall, Disconnect])
    def test_an_end_before_the_mail_was_handed_over_is_temporary(
        self, provider, server, stage, kind
    ):
        server.script.next(kind(stage))
        assert failure(provider, PLAIN).error_class is TEMPORARY
        assert self.calls(server) == 1

    @pytest.mark.parametrize(("stage", "error_class"), [("RCPT", TEMPORARY), ("END", AMBIGUOUS)])
    @pytest.mark.parametrize("reply", ["what?", "2", "250" + "x" * 10_000])
    def test_a_reply_that_is_none(self, provider, server, stage: Stage, error_class, reply):
        server.script.next(Reply(stage, reply))
        assert failure(provider, PLAIN).error_class is error_class

    def test_a_mail_after_one_that_was_handed_over_starts_anew(self, provider, server):
        send(provider, PLAIN)
        server.script.next(Disconnect("RCPT"))
        assert failure(provider, PLAIN).error_class is TEMPORARY

    def test_attachments_arrive_by_way_of_djangos_mail(self, provider, server):
        send(provider, RICH)
        assert server.ledger.last.raw.count(b"\n") == server.ledger.last.raw.count(b"\r\n")

    def test_an_address_that_is_not_ascii_is_encoded_as_django_does(self, provider, server):
        message = replace(PLAIN, to="müller@bücher.example")
        send(provider, message)
        provider.send(message)
        ours, djangos = (address for command, address in server.commands if command == "RCPT")
        assert ours == djangos
        assert ours.endswith("@xn--bcher-kva.example")

    @pytest.mark.parametrize(
        ("greeting", "error_class", "code"),
        [
            (b"554 no mail here\r\n", CONFIG, "554"),
            (b"421 4.3.2 too busy\r\n", TEMPORARY, "421 4.3.2"),
            (b"421 4.7.0 too many connections\r\n", THROTTLED, "421 4.7.0"),
            (b"", TEMPORARY, "connection_lost"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", TEMPORARY, "malformed_answer"),
        ],
    )
    def test_a_server_that_greets_otherwise(self, greeting, error_class, code):
        with greeter(greeting) as port:
            error = failure(SMTP("smtp", url=f"smtp://127.0.0.1:{port}"), PLAIN)
        assert (error.error_class, error.code) == (error_class, code)

    def test_encryption_that_is_not_offered_is_our_fault(self, server):
        provider = SMTP("smtp", url=f"smtp+tls://relay:{SECRET}@127.0.0.1:{server.port}")
        assert failure(provider, PLAIN).error_class is CONFIG

    def test_some_of_many_recipients_refused(self, provider, server, caplog):
        server.script.when("gone@kunde.example", Reply("RCPT", "550 5.1.1 unknown"))
        provider.deliver(EmailMessage("Hi", CONTENT, FROM, [ADDRESS, "gone@kunde.example"]))
        assert "1 of 2 recipients refused" in caplog.text
        assert "gone@" not in logged(caplog)

    def test_goodbye_to_a_hanging_server_is_short(self, provider, server, settings):
        settings.PROVIDER_READ_TIMEOUT = 30.0
        server.script.next(Reply("RCPT", "450 later"))
        failure(provider, PLAIN)


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1", "consolemail://", "smtp://127.0.0.1:port", "sendmail"]
)
def test_a_url_that_is_none_is_our_fault(url, settings):
    error = failure(SMTP("smtp", url=url), PLAIN)
    assert error.error_class is CONFIG


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://mx.example", 25, False, False),
        ("smtp+tls://mx.example", 587, True, False),
        ("smtps://mx.example", 587, True, False),
        ("smtp+ssl://mx.example", 465, False, True),
        ("smtp+tls://mx.example:2525", 2525, True, False),
    ],
)
def test_what_a_url_means(url, port, tls, ssl):
    backend: Any = SMTP("smtp", url=url).connect()
    assert (backend.port, backend.use_tls, backend.use_ssl) == (port, tls, ssl)


def test_a_login_is_percent_encoded():
    backend: Any = SMTP("smtp", url="smtp://me%40x.example:p%40ss%2Bword@mx.example").connect()
    assert (backend.username, backend.password) == ("me@x.example", "p@ss+word")


def test_every_rule_names_stages_there_are():
    assert all(set(stages) <= set(ANY) for stages, _, _ in REPLIES)


def test_it_has_no_webhooks():
    with pytest.raises(BadSignature):
        SMTP("smtp", url="").verify(Webhook(b"", {}))


def _arrived(mail: ReceivedMail) -> Arrived:
    message: Mime = mail.message
    return from_mime(message, list(mail.recipients))


@contextmanager
def deaf(*, knows_ehlo: bool = True) -> Iterator[int]:
    """A port that says yes to everything up to DATA and then reads no more."""

    def serve() -> None:
        client, _ = listening.accept()
        with client, client.makefile("rb") as lines:
            client.sendall(b"220 deaf\r\n")
            for line in lines:
                if line.startswith(b"DATA"):
                    client.sendall(b"354 go on\r\n")
                    over.wait(10)
                    return
                unknown = line.startswith(b"EHLO") and not knows_ehlo
                client.sendall(b"502 what?\r\n" if unknown else b"250 fine\r\n")

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join(5)


@contextmanager
def greeter(greeting: bytes) -> Iterator[int]:
    """A port that greets a client once and hangs up."""

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        thread = threading.Thread(target=_greet, args=(listening, greeting))
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def _greet(listening: socket.socket, greeting: bytes) -> None:
    client, _ = listening.accept()
    with client:
        client.sendall(greeting)
