"""Postmark, Mailgun, Resend and Brevo: sending. What they report back is in test_esp_webhooks.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.conf import settings
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers import brevo, mailgun, postmark, resend
from notifications.providers.brevo import Brevo
from notifications.providers.common.email_http import HttpEmailProvider
from notifications.providers.mailgun import Mailgun
from notifications.providers.postmark import Postmark
from notifications.providers.resend import Resend
from notifications.types import Channel, ErrorClass, ProviderError, Wanted
from tests.fakes.behaviours import Answer, Close, Garbage, HalfBody, Reset, Status
from tests.fakes.esps import (
    BrevoServer,
    EspServer,
    MailgunServer,
    PostmarkServer,
    ResendServer,
    SentMail,
)
from tests.providers.contract import CONTENT, SECRET, SLOW, HttpContract, Refusal, close
from tests.providers.email_contract import (
    ADDRESS,
    MESSAGE_ID,
    PLAIN,
    RICH,
    Arrived,
    EmailContract,
    EmailVendor,
    LoopContract,
    ThreadContract,
    failure,
    send,
)

HOSTED = replace(PLAIN, parts={}, values={"name": "Anna", "code": CONTENT}, tags=())


class Esp(EmailVendor):
    lost: Sequence[Any] = (Reset(), Close(), Garbage())
    slow = Answer(delay=SLOW)
    refusal = Status(400)
    fails = (Status(500, f"{ADDRESS} {CONTENT}".encode()),)
    server_class: ClassVar[type[EspServer]]

    @pytest.fixture
    def server(self):
        with self.server_class(key=SECRET) as server:
            yield server

    def make_at(self, url: str) -> HttpEmailProvider:
        raise NotImplementedError

    @override
    def make(self, port: int) -> HttpEmailProvider:
        return self.make_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> HttpEmailProvider:
        return self.make_at(f"https://localhost:{port}")

    @override
    def arrived(self, server: EspServer) -> list[Arrived]:
        return [_arrived(mail) for mail in server.messages]


class EspContract(Esp, EmailContract, HttpContract):
    rich = RICH

    def test_the_receipt(self, provider, server):
        sent = send(provider, PLAIN)
        assert sent.ref == server.messages.last.message_id
        assert sent.http_status in (200, 201)

    def test_our_message_id_is_sent(self, provider, server):
        send(provider, PLAIN)
        assert {name.lower(): value for name, value in server.messages.last.headers.items()}[
            "message-id"
        ] == MESSAGE_ID

    def test_wrong_credentials_are_our_fault(self, provider, server):
        server.key = "another"
        assert failure(provider).error_class is ErrorClass.AUTH_CONFIG

    def test_a_code_nobody_documents_is_temporary_and_says_so(self, provider, server):
        if not provider.code_field:
            return
        server.script.next(Status(422, {provider.code_field: "new_code", "x": ADDRESS}))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "unmapped:new_code")

    def test_a_code_that_is_a_sentence_is_not_told(self, provider, server):
        server.script.next(Status(422, {provider.code_field: f"no {ADDRESS}", "x": CONTENT}))
        assert failure(provider).code == "422"

    def test_a_code_nobody_documents_may_have_been_taken_with_a_500(self, provider, server):
        server.script.next(Status(500, {provider.code_field: "new_code"}))
        assert failure(provider).error_class is ErrorClass.AMBIGUOUS

    def test_another_providers_template_is_refused(self, provider, server):
        message = replace(HOSTED, hosted={"somebody": "1"})
        assert provider.lacks(wanted("somebody")) == "template"
        assert failure(provider, message).error_class is ErrorClass.PERMANENT_MESSAGE
        assert self.calls(server) == 0


class HostedContract(Esp):
    """Of those that keep templates."""

    def test_a_template_of_its_own_is_sent_with_its_values(self, provider, server):
        assert provider.lacks(wanted(provider.name)) == ""
        send(provider, replace(HOSTED, hosted={provider.name: "12"}))
        mail = server.messages.last
        assert (mail.template, mail.subject, mail.text, mail.html) == ("12", "", "", "")
        assert self.variables(mail) == {"name": "Anna", "code": CONTENT}

    def variables(self, mail: SentMail) -> Mapping[str, Any]:
        return mail.variables


def wanted(*hosted: str) -> Wanted:
    return Wanted(Channel.EMAIL, ADDRESS, hosted=hosted)


def refusals(
    provider: type[HttpEmailProvider], also: Sequence[tuple[int, str, str, ErrorClass]] = ()
) -> list[Refusal]:
    """Each row of a provider's table, and those whose text says more."""
    rows = [(status, code, "", kind) for (status, code), kind in provider.codes.items()]
    return [
        Refusal(
            Status(status, {provider.code_field: code, provider.text_field: text}),
            kind,
            code or str(status),
        )
        for status, code, text, kind in [*rows, *also]
    ]


# Postmark


class _Postmark(Esp):
    server_class = PostmarkServer

    @override
    def make_at(self, url: str) -> HttpEmailProvider:
        return Postmark(
            "postmark", server_token=SECRET, api_url=url, message_stream="", webhook_secret=""
        )


class TestPostmark(_Postmark, EspContract, HostedContract):
    golden = "postmark.txt"
    golden_headers = ("x-postmark-server-token", "content-type")
    refusals = refusals(
        Postmark,
        [
            (422, "300", "Invalid 'To' address: 'x'.", ErrorClass.PERMANENT_RECIPIENT),
            (422, "300", "Error parsing 'To': Illegal email.", ErrorClass.PERMANENT_RECIPIENT),
            (422, "300", "Invalid 'From' address: 'x'.", ErrorClass.AUTH_CONFIG),
            (422, "300", "Provide either TextBody or HtmlBody.", ErrorClass.PERMANENT_MESSAGE),
        ],
    )

    def test_it_keeps_our_message_id(self, provider, server):
        send(provider, PLAIN)
        assert server.messages.last.headers["X-PM-KeepID"] == "true"

    def test_all_tags_are_in_the_one_it_has(self, provider, server):
        send(provider, RICH)
        assert server.messages.last.tags == ["welcome,first mail"]

    @pytest.mark.parametrize(
        "metadata", [{"order": "x" * 81}, {"a" * 21: "1"}, {f"n{n}": "1" for n in range(7)}]
    )
    def test_metadata_that_do_not_fit_stay_with_us(self, provider, server, metadata):
        send(provider, replace(RICH, metadata=metadata, agent_id="a" * 100))
        sent = server.messages.last.metadata
        assert set(sent) == {"attempt_id", "message_id", "agent_id", "template_id"}
        assert sent["attempt_id"] == str(RICH.attempt_id)
        assert len(sent["agent_id"]) == postmark.MAX_VALUE

    def test_a_stream_of_ones_own(self, server):
        provider = Postmark(
            "postmark",
            server_token=SECRET,
            api_url=server.url,
            message_stream="news",
            webhook_secret="",
        )
        send(provider, PLAIN)
        close(provider)
        assert server.ledger.last.json["MessageStream"] == "news"


class TestPostmarkOnLoops(_Postmark, LoopContract):
    @override
    def wait_for_a_call(self, server: Any) -> None:
        server.ledger.wait_for(1)


class TestPostmarkInThreads(_Postmark, ThreadContract):
    lost = (Reset(), Close(), HalfBody(), Garbage())

    def test_each_row_of_the_error_table(self, provider, server):
        for refusal in TestPostmark.refusals:
            server.script.next(refusal.answer)
            error = failure(provider)
            assert (error.error_class, error.code) == (refusal.error_class, refusal.code)


# Mailgun


class _Mailgun(Esp):
    server_class = MailgunServer

    @override
    def make_at(self, url: str) -> HttpEmailProvider:
        return Mailgun(
            "mailgun",
            api_key=SECRET,
            sender_domain="mg.example.com",
            api_url=f"{url}/v3",
            signing_key="",
        )


class TestMailgun(_Mailgun, EspContract, HostedContract):
    rich = replace(RICH, attachments=())  # with files the form has a boundary made up each time
    golden = "mailgun.txt"
    refusals = refusals(
        Mailgun,
        [
            (
                400,
                "",
                "'to' parameter is not a valid address. please check documentation",
                ErrorClass.PERMANENT_RECIPIENT,
            )
        ],
    )

    @override
    def test_the_recipient_sees_nothing_of_our_ids(self, provider, server):
        """But the attempt's, which says nothing: its variables are in a header."""
        send(provider, RICH)
        assert server.messages.last.metadata == {"attempt_id": str(RICH.attempt_id)}

    @override
    def variables(self, mail: SentMail) -> Mapping[str, Any]:
        assert mail.metadata["name"] == "%recipient.name%"
        return {"name": "Anna", "code": CONTENT}

    def test_the_values_of_a_template_are_the_recipients(self, provider, server):
        send(provider, replace(HOSTED, hosted={"mailgun": "welcome"}))
        (values,) = server.ledger.last.form["recipient-variables"]
        assert json.loads(values) == {ADDRESS: {"name": "Anna", "code": CONTENT}}

    def test_tags_are_ascii(self, provider, server):
        send(provider, replace(PLAIN, tags=("größe", "a")))
        assert server.messages.last.tags == ["gr__e", "a"]

    def test_a_wrong_url_is_our_fault(self, server):
        provider = Mailgun(
            "mailgun", api_key=SECRET, sender_domain="", api_url=server.url, signing_key=""
        )
        error = failure(provider, PLAIN)
        close(provider)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "wrong_url")

    def test_an_answer_that_anymail_does_not_know_is_ambiguous(self, provider, server):
        server.script.next(Status(200, {"id": "<1@x>", "message": "Perhaps."}))
        with pytest.raises(ProviderError) as caught:
            provider.deliver(provider.build(PLAIN))
        assert caught.value.error_class is ErrorClass.AMBIGUOUS

    def test_the_sender_says_the_domain_where_none_is_set(self, server, settings):
        settings.DEFAULT_FROM_EMAIL = "us@mg.example.com"
        provider = Mailgun(
            "mailgun",
            api_key=SECRET,
            sender_domain="",
            api_url=f"{server.url}/v3/",
            signing_key="",
        )
        send(provider, PLAIN)
        close(provider)
        assert len(server.messages) == 1


class TestMailgunOnLoops(_Mailgun, LoopContract):
    @override
    def wait_for_a_call(self, server: Any) -> None:
        server.ledger.wait_for(1)


# Resend


class _Resend(Esp):
    server_class = ResendServer

    @override
    def make_at(self, url: str) -> HttpEmailProvider:
        return Resend("resend", api_key=SECRET, api_url=url, webhook_secret="")


class TestResend(_Resend, EspContract):
    golden = "resend.txt"
    golden_headers = ("authorization", "content-type", "idempotency-key")
    refusals = refusals(
        Resend,
        [(422, "validation_error", "Invalid `to` field.", ErrorClass.PERMANENT_RECIPIENT)],
    )

    def test_a_repeated_attempt_is_not_sent_twice(self, provider, server):
        server.keeps_keys = True
        send(provider, PLAIN)
        error = failure(provider, replace(PLAIN, attempt_id=UUID(int=7), number=2))
        assert (error.error_class, error.code) == (
            ErrorClass.AMBIGUOUS,
            "invalid_idempotent_request",
        )
        assert len(server.messages) == 1

    def test_a_refused_attempt_does_not_use_the_key_up(self, provider, server):
        server.keeps_keys = True
        server.script.next(Status(429))
        failure(provider, PLAIN)
        send(provider, replace(PLAIN, attempt_id=UUID(int=7), number=2))
        assert len(server.messages) == 1

    def test_plain_mail_has_no_key(self, provider, server):
        server.keeps_keys = True
        for _ in range(2):
            provider.deliver(EmailMessage("Hi", CONTENT, "a@example.com", [ADDRESS]))
        assert len(server.messages) == 2

    def test_replies_find_their_delivery_by_the_address(self, provider, server, settings):
        send(provider, replace(PLAIN, delivery_id=UUID(int=1)))
        settings.REPLY_DOMAIN = "reply.example.com"
        send(provider, replace(PLAIN, delivery_id=UUID(int=2)))
        send(provider, replace(RICH, delivery_id=UUID(int=3)))
        assert [mail.reply_to for mail in server.messages] == [
            "",
            f"reply+{UUID(int=2)}@reply.example.com",
            RICH.reply_to,
        ]


class TestResendOnLoops(_Resend, LoopContract):
    @override
    def wait_for_a_call(self, server: Any) -> None:
        server.ledger.wait_for(1)


# Brevo


class _Brevo(Esp):
    server_class = BrevoServer

    @override
    def make_at(self, url: str) -> HttpEmailProvider:
        return Brevo("brevo", api_key=SECRET, api_url=f"{url}/v3", webhook_secret="")


class TestBrevo(_Brevo, EspContract, HostedContract):
    golden = "brevo.txt"
    golden_headers = ("api-key", "content-type")
    refusals = refusals(
        Brevo,
        [
            (400, "invalid_parameter", "email is not valid in to", ErrorClass.PERMANENT_RECIPIENT),
            (400, "invalid_parameter", "sender is not valid", ErrorClass.AUTH_CONFIG),
        ],
    )

    @override
    @pytest.mark.parametrize(
        ("parts", "html"),
        [
            ({"text": "a < b\nc"}, "<p>a &lt; b<br>\nc</p>"),
            ({"html": "<b>x</b>"}, "<b>x</b>"),
        ],
    )
    def test_one_part_is_enough(self, provider, server, parts, html):
        """It takes no mail without HTML: a text gets one."""
        send(provider, replace(PLAIN, parts={"subject": "Hi", **parts}))
        mail = server.messages.last
        assert (mail.text, mail.html) == (parts.get("text", ""), html)

    @override
    def test_the_recipient_sees_nothing_of_our_ids(self, provider, server):
        """But the attempt's, which says nothing: its metadata are in a header."""
        send(provider, RICH)
        (mail,) = self.arrived(server)
        custom = server.messages.last.headers["X-Mailin-custom"]
        assert json.loads(custom) == {"attempt_id": str(RICH.attempt_id)}
        for private in ("A17", "first mail", "agent-1", "welcome.v3"):
            assert private not in mail.everything

    def test_a_repeated_attempt_is_not_sent_twice(self, provider, server):
        server.keeps_keys = True
        send(provider, PLAIN)
        error = failure(provider, replace(PLAIN, attempt_id=UUID(int=7), number=2))
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "duplicate_parameter")
        assert len(server.messages) == 1

    def test_throttling_says_for_how_long(self, provider, server):
        server.script.next(server.throttled(reset_in=12))
        error = failure(provider, PLAIN)
        assert (error.error_class, error.retry_after) == (ErrorClass.THROTTLED, 12)

    def test_a_header_it_would_garble_is_refused(self, provider, server):
        error = failure(provider, replace(PLAIN, headers={"X-Name": "größe"}))
        assert error.error_class is ErrorClass.PERMANENT_MESSAGE
        assert self.calls(server) == 0


class TestBrevoOnLoops(_Brevo, LoopContract):
    @override
    def wait_for_a_call(self, server: Any) -> None:
        server.ledger.wait_for(1)


# The tables and the documentation


def test_the_tables_are_those_the_vendors_document():
    """The codes of facts/providers.md and the vendors' pages named in each file."""
    assert {code for _, code in resend.CODES} >= {
        *("invalid_idempotency_key", "validation_error", "missing_api_key", "restricted_api_key"),
        *("invalid_api_key", "not_found", "method_not_allowed", "invalid_idempotent_request"),
        *("concurrent_idempotent_requests", "invalid_attachment", "invalid_from_address"),
        *("invalid_access", "invalid_parameter", "invalid_region", "missing_required_field"),
        *("monthly_quota_exceeded", "daily_quota_exceeded", "rate_limit_exceeded"),
        *("security_error", "application_error", "internal_server_error"),
    }
    assert {int(code) for _, code in postmark.CODES} >= {
        *(10, 100, 300, 400, 401, 402, 403, 405, 406, 409, 410, 411, 412, 413, 429),
    }
    assert {status for status, _ in mailgun.CODES} >= {400, 401, 403, 404, 413, 429, 500}
    assert {code for _, code in brevo.CODES} >= {
        *("invalid_parameter", "missing_parameter", "out_of_range", "document_not_found"),
        *("reseller_permission_denied", "not_enough_credits", "permission_denied"),
        *("duplicate_parameter", "duplicate_request", "method_not_allowed", "unauthorized"),
        *("account_under_validation", "not_acceptable", "bad_request", "unprocessable_entity"),
    }


def test_they_take_over_after_ses_and_before_smtp():
    email = ["sendgrid", "ses", "postmark", "mailgun", "resend", "brevo", "smtp"]
    assert list(settings.PROVIDERS)[: len(email)] == email


@pytest.mark.parametrize("provider", [postmark, mailgun, resend, brevo])
def test_the_pages_tables_are_those_of_the_code(provider):
    name = provider.__name__.rpartition(".")[2]
    page = (settings.BASE_DIR / f"docs/how-to/providers/{name}.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\| `(\w+)` \|$", page, re.MULTILINE)
    found = {(int(status), code): kind for status, code, kind in rows}
    assert found == {key: kind.value for key, kind in provider.CODES.items()}


def _arrived(mail: SentMail) -> Arrived:
    headers = {name.lower(): value for name, value in mail.headers.items()}
    visible = [mail.sender, mail.subject, mail.text, mail.html, dict(mail.headers)]
    return Arrived(
        to=mail.to,
        sender=mail.sender,
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        reply_to=mail.reply_to,
        headers={name: headers[name.lower()] for name in RICH.headers if name.lower() in headers},
        attachments=mail.attachments,
        everything=json.dumps(visible),
    )
