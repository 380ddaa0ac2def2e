from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest

from tests.fakes.smtp import SmtpServer
from tests.fakes.smtp_behaviours import Disconnect, Reply, Stage, Stall


def send(
    server: SmtpServer,
    *recipients: str,
    login: tuple[str, str] | None = None,
    patience: float = 30,
) -> dict[str, tuple[int, bytes]]:
    message = EmailMessage()
    message["From"] = "desk@example.com"
    message["To"] = ", ".join(recipients or ("alice@example.com",))
    message["Subject"] = "Gr\u00fc\u00dfe"
    message.set_content(".leading dot\nHi\n")
    with smtplib.SMTP(server.host, server.port, timeout=patience) as client:
        if login:
            client.login(*login)
        return client.send_message(message)


def test_a_mail_is_kept_raw_and_parsed(smtp: SmtpServer) -> None:
    send(smtp)

    mail = smtp.ledger.last
    assert (mail.mail_from, mail.recipients) == ("desk@example.com", ("alice@example.com",))
    assert mail.message["Subject"] == "Gr\u00fc\u00dfe"
    assert mail.message.get_content().splitlines() == [".leading dot", "Hi"]
    assert mail.raw.count(b"\r\n") == mail.raw.count(b"\n")
    assert mail.accepted


@pytest.mark.parametrize(
    ("stage", "text", "error"),
    [
        ("MAIL", "451 4.7.1 Try later", smtplib.SMTPSenderRefused),
        ("MAIL", "553 5.1.8 Sender rejected", smtplib.SMTPSenderRefused),
        ("RCPT", "450 4.2.1 Busy", smtplib.SMTPRecipientsRefused),
        ("RCPT", "550 5.1.1 User unknown", smtplib.SMTPRecipientsRefused),
        ("DATA", "451 4.3.0 Not now", smtplib.SMTPDataError),
        ("END", "451 4.3.0 Not now", smtplib.SMTPDataError),
        ("END", "554 5.7.1 Spam", smtplib.SMTPDataError),
    ],
)
def test_a_reply_at_each_stage(
    smtp: SmtpServer, stage: Stage, text: str, error: type[Exception]
) -> None:
    smtp.script.next(Reply(stage, text))
    with pytest.raises(error) as caught:
        send(smtp)
    assert text[:3] in str(caught.value)
    assert not smtp.accepted
    assert len(smtp.ledger) == (stage == "END")
    send(smtp)
    assert len(smtp.accepted) == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("rst", [True, False])
def test_a_disconnect_at_each_stage(smtp: SmtpServer, stage: Stage, rst: bool) -> None:
    smtp.script.next(Disconnect(stage, rst=rst))
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(smtp)
    assert len(smtp.accepted) == (stage == "END")


@pytest.mark.parametrize("stage", ["MAIL", "DATA", "END"])
def test_a_stall_is_a_timeout_and_after_the_last_dot_the_mail_is_kept(
    smtp: SmtpServer, stage: Stage
) -> None:
    smtp.script.next(Stall(stage))
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(smtp, patience=2)
    assert len(smtp.accepted) == (stage == "END")


def test_one_recipient_of_two_is_refused(smtp: SmtpServer) -> None:
    smtp.script.when("bob@*", Reply("RCPT", "550 5.1.1 User unknown"))
    refused = send(smtp, "alice@example.com", "bob@example.com")
    assert list(refused) == ["bob@example.com"]
    assert smtp.ledger.last.recipients == ("alice@example.com",)


def test_a_recipient_can_plan_the_end_of_its_mail(smtp: SmtpServer) -> None:
    smtp.script.when(
        "bob@example.com", Reply("END", "452 4.2.2 Full"), Reply("END", "250 OK", True)
    )
    with pytest.raises(smtplib.SMTPDataError):
        send(smtp, "bob@example.com")
    send(smtp, "bob@example.com")
    assert [mail.accepted for mail in smtp.ledger] == [False, True]


def test_a_refused_connection(smtp: SmtpServer) -> None:
    smtp.refuse()
    with pytest.raises(ConnectionRefusedError):
        send(smtp)
    smtp.accept()
    send(smtp)
    assert len(smtp.ledger) == 1


def test_a_login_where_one_is_asked_for() -> None:
    with SmtpServer("desk", "secret") as smtp:
        assert smtp.url == f"smtp://desk:secret@127.0.0.1:{smtp.port}"
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(smtp)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(smtp, login=("desk", "wrong"))
        send(smtp, login=("desk", "secret"))
        assert len(smtp.accepted) == 1


def test_stop_ends_a_stalled_client() -> None:
    smtp = SmtpServer().start()
    smtp.script.always(Stall("END"))
    with smtplib.SMTP(smtp.host, smtp.port, timeout=5) as client:
        client.ehlo()
        client.mail("desk@example.com")
        client.rcpt("alice@example.com")
        client.docmd("DATA")
        client.send(b"Hi\r\n.\r\n")
        smtp.ledger.wait_for(1)
        smtp.stop()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.getreply()
