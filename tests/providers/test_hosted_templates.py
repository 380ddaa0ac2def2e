"""Templates that a provider keeps itself, of SES and SendGrid. The others' are in test_esps.py."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from notifications.providers.base import Provider
from notifications.providers.resend import Resend
from notifications.providers.sendgrid import SendGrid
from notifications.providers.ses import SES
from notifications.providers.simulator import Simulator
from notifications.providers.smtp import SMTP
from notifications.types import Attachment, Channel, ErrorClass, Outbound, Wanted
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.providers.contract import SECRET, close, run
from tests.providers.email_contract import ADDRESS, FROM, PLAIN, RICH, failure, send

HOSTED = replace(
    RICH,
    parts={},
    values={"name": "Ünal", "code": "1"},
    attachments=(),
    hosted={"ses": "welcome", "sendgrid": "d-12"},
)


@pytest.fixture(autouse=True)
def _sender(settings):
    settings.DEFAULT_FROM_EMAIL = FROM


@pytest.fixture
def ses():
    with SesServer(access_key="A") as server:
        server.templates["welcome"] = ("Hello {{name}}", "Your code is {{code}}.")
        provider = SES(
            "ses",
            access_key_id="A",
            secret_access_key=SECRET,
            region="eu-central-1",
            endpoint_url=server.url,
            configuration_set="main",
            topic_arns=[],
        )
        yield provider, server
        close(provider)


@pytest.fixture
def sendgrid():
    with SendGridServer(api_key=SECRET) as server:
        provider = SendGrid(
            "sendgrid", api_key=SECRET, api_url=server.api_url, webhook_public_key=""
        )
        yield provider, server
        close(provider)


def test_ses_is_given_the_name_and_the_values(ses):
    provider, server = ses
    sent = send(provider, HOSTED)
    mail = server.messages.last
    assert sent.ref == mail.message_id
    assert mail.message["Subject"] == "Hello Ünal"
    assert mail.message["From"] == FROM
    assert mail.message["Reply-To"] == HOSTED.reply_to
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.message.get_content().strip() == "Your code is 1."
    assert mail.tags["attempt_id"] == str(HOSTED.attempt_id)
    assert mail.configuration_set == "main"
    template = server.ledger.last.json["Content"]["Template"]
    assert template["TemplateName"] == "welcome"
    assert json.loads(template["TemplateData"]) == HOSTED.values
    assert "Message-ID" not in {header["Name"] for header in template["Headers"]}


def test_a_template_that_ses_does_not_know_is_the_messages_fault(ses):
    provider, _ = ses
    error = failure(provider, replace(HOSTED, hosted={"ses": "other"}))
    assert (error.error_class, error.code) == (ErrorClass.PERMANENT_MESSAGE, "NotFoundException")


def test_ses_puts_no_files_to_a_template(ses):
    provider, server = ses
    files = (Attachment("a.txt", b"a", "text/plain"),)
    error = failure(provider, replace(HOSTED, attachments=files))
    assert error.error_class is ErrorClass.PERMANENT_MESSAGE
    assert len(server.ledger) == 0


def test_replies_to_mail_of_ses_find_their_delivery_by_the_address(ses, settings):
    provider, server = ses
    settings.REPLY_DOMAIN = "reply.example.com"
    for message in (PLAIN, replace(HOSTED, reply_to="")):
        send(provider, message)
        reply_to = server.messages.last.message["Reply-To"]
        assert reply_to == f"reply+{PLAIN.delivery_id}@reply.example.com"


def test_sendgrid_is_given_the_id_and_the_values(sendgrid):
    provider, server = sendgrid
    send(provider, HOSTED)
    payload = server.messages.last.payload
    assert payload["template_id"] == "d-12"
    assert payload["personalizations"] == [
        {"to": [{"email": ADDRESS}], "dynamic_template_data": HOSTED.values}
    ]
    assert "content" not in payload
    assert "subject" not in payload
    assert payload["custom_args"]["attempt_id"] == str(HOSTED.attempt_id)
    provider.send(HOSTED)
    by_anymail = server.messages.last.payload
    assert by_anymail["template_id"] == "d-12"
    assert by_anymail["personalizations"][0]["dynamic_template_data"] == HOSTED.values


def test_sendgrid_takes_many_at_once(sendgrid):
    provider, server = sendgrid
    people = [
        replace(HOSTED, to=f"p{n}@kunde.example", attempt_id=UUID(int=n), values={"name": f"P{n}"})
        for n in range(3)
    ]
    run(provider.carry(people))
    assert [mail.personalization["dynamic_template_data"] for mail in server.messages] == [
        {"name": "P0"},
        {"name": "P1"},
        {"name": "P2"},
    ]
    error = failure_of_batch(provider, [people[0], replace(people[1], hosted={"sendgrid": "d-2"})])
    assert error == "mixed_batch"


def failure_of_batch(provider: SendGrid, messages: list[Outbound]) -> str:
    with pytest.raises(Exception) as caught:
        run(provider.carry(messages))
    return str(caught.value.code)  # type: ignore[attr-defined]


@pytest.mark.parametrize("hosted", [(), ("sendgrid",), ("ses", "sendgrid")])
def test_who_can_carry_what(ses, sendgrid, hosted):
    wanted = Wanted(Channel.EMAIL, ADDRESS, hosted=hosted)
    assert bool(ses[0].lacks(wanted)) == (bool(hosted) and "ses" not in hosted)
    assert sendgrid[0].lacks(wanted) == ""
    others: list[Provider] = [
        SMTP("smtp", url="smtp://127.0.0.1:1"),
        Resend("resend", api_key="k", api_url="https://x", webhook_secret=""),
        Simulator("simulator"),
    ]
    for provider in others:
        assert provider.lacks(wanted) == ("template" if hosted else "")


def test_who_keeps_none_refuses_such_a_message():
    provider = SMTP("smtp", url="smtp://127.0.0.1:1")
    for message in (
        HOSTED,
        replace(HOSTED, hosted={"smtp": "x"}),
        replace(PLAIN, hosted={"a": "1"}),
    ):
        error = failure(provider, message)
        assert (error.error_class, error.code) == (ErrorClass.PERMANENT_MESSAGE, "template")
    close(provider)
