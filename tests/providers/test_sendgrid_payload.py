"""Our requests to SendGrid are those of Anymail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.providers import sendgrid_payload
from notifications.providers.common.email import message_id
from notifications.providers.common.labels import labels
from notifications.providers.sendgrid import SendGrid
from notifications.providers.sendgrid_payload import Payloads
from notifications.types import Attachment, ErrorClass, Outbound, ProviderError
from tests.fakes.sendgrid import SendGridServer, check
from tests.providers.contract import close, run
from tests.providers.email_contract import FROM, PLAIN, RICH, send

PREFIX = "k3-"


@pytest.fixture(autouse=True)
def _sender(settings):
    settings.DEFAULT_FROM_EMAIL = FROM


@pytest.fixture(scope="module")
def provider() -> SendGrid:
    return SendGrid("sendgrid", api_key="k", api_url="https://x.example/v3/", webhook_public_key="")


def ours(provider: SendGrid, messages: list[Outbound]) -> Any:
    return json.loads(Payloads(provider.connect(), provider.name).write(messages))


def anymails(provider: SendGrid, messages: list[Outbound]) -> Any:
    """What Anymail makes of the same: one mail, or its batch form with `merge_*`."""
    backend: Any = provider.connect()
    mail = provider.build(messages[0])
    if len(messages) > 1:
        del mail.metadata
        mail.to = [message.to for message in messages]
        mail.extra_headers = {}
        mail.merge_data = {message.to: dict(message.values) for message in messages}
        mail.merge_metadata = {message.to: labels(message) for message in messages}
        mail.merge_headers = {
            message.to: {"Message-ID": message_id(message), **message.headers}
            for message in messages
        }
        if any("List-Unsubscribe" in message.headers for message in messages):
            mail.esp_extra = {"tracking_settings": sendgrid_payload.UNTRACKED}
    return json.loads(backend.build_message_payload(mail, backend.send_defaults).serialize_data())


def batch(size: int, message: Outbound = RICH) -> list[Outbound]:
    """A newsletter to `size` people."""
    shared = {"subject": f"{PREFIX}0_", "text": f"Hi {PREFIX}1_", "html": f"<p>{PREFIX}1_</p>"}
    return [
        replace(
            message,
            attempt_id=UUID(int=number),
            delivery_id=UUID(int=number + 10_000),
            to=f"p{number}@kunde.example",
            parts=shared,
            values={f"{PREFIX}0_": f"Grüße {number}", f"{PREFIX}1_": f"<Anna> {number}"},
            headers={"List-Unsubscribe": f"<https://comms.example.com/u/{number}>"},
        )
        for number in range(size)
    ]


CHANGES: list[dict[str, Any]] = [
    {},
    {"parts": {"subject": "Hi", "html": "<p>x"}},
    {"parts": {"subject": "Hi", "text": "x"}},
    {"parts": {"text": "x"}},
    {"reply_to": ""},
    {"reply_to": '"A, B" <a@b.example>'},
    {"reply_to": "Grüße <a@bücher.example>, c@d.example"},
    {"headers": {}},
    {"headers": {"X-A": "1", "x-a": "2"}},
    {"headers": {"list-unsubscribe": "<https://x.example>"}},
    {"tags": ()},
    {"metadata": {}},
    {"metadata": {"größe": "✓", "n": 1, "x": None}},
    {"agent_id": "", "template_id": ""},
    {"attachments": ()},
    {"attachments": (Attachment("a.txt", b"\xff", "text/plain; charset=latin-1"),)},
    {"attachments": (Attachment("", b"", "application/pdf"),)},
    {"to": "Müller@bücher.example"},
    {"to": "a.b-c+d@e-f.example"},
    {"to": "o'x@y.example"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_message_is_anymails(provider, change):
    message = replace(RICH, **change)
    assert ours(provider, [message]) == anymails(provider, [message])


@pytest.mark.parametrize(
    "sender", ["n@example.com", "Grüße <n@example.com>", '"A, B" <n@bücher.example>']
)
def test_a_sender_is_anymails(provider, settings, sender):
    settings.DEFAULT_FROM_EMAIL = sender
    assert ours(provider, [PLAIN]) == anymails(provider, [PLAIN])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
lines = texts.map(lambda text: "".join(char for char in text if char not in "\r\n\0"))


@given(
    local=st.from_regex(r"[^\s@<>(),;:\"\\\\]{1,10}", fullmatch=True),
    domain=st.sampled_from(
        ["b.example", "bücher.example", "localhost", "[1.2.3.4]", "B_c.example"]
    ),
    subject=lines,
    text=texts,
    html=texts,
    value=lines,
)
def test_any_message_is_anymails(provider, local, domain, subject, text, html, value):
    message = replace(
        RICH,
        to=f"{local}@{domain}",
        parts={"subject": subject, "text": text, "html": html},
        headers={"X-Any": value},
        tags=(value, subject),
        metadata={value: subject},
    )
    assert outcome(ours, provider, [message]) == outcome(anymails, provider, [message])


def outcome(write: Any, provider: SendGrid, messages: list[Outbound]) -> Any:
    try:
        with provider.before_sending():
            return write(provider, messages)
    except ProviderError as error:
        return error.error_class, error.code


@pytest.mark.parametrize("change", CHANGES[3:-3], ids=str)
def test_a_batch_is_anymails(provider, change):
    change = {name: value for name, value in change.items() if name not in ("headers", "parts")}
    messages = [replace(message, **change) for message in batch(3)]
    assert ours(provider, messages) == anymails(provider, messages)


def test_a_batch_without_values_is_anymails(provider):
    messages = [replace(message, parts=PLAIN.parts, values={}, headers={}) for message in batch(2)]
    assert ours(provider, messages) == anymails(provider, messages)


def test_a_batch_with_other_headers_for_each_is_anymails(provider):
    first, second = batch(2)
    messages = [replace(first, headers={}), replace(second, metadata={"own": "1"})]
    assert ours(provider, messages) == anymails(provider, messages)


def test_both_ways_send_the_same_to_the_server():
    with SendGridServer(api_key="k") as server:
        provider = SendGrid("s", api_key="k", api_url=server.api_url, webhook_public_key="")
        send(provider)
        provider.send(RICH)
        close(provider)
        first, second = server.ledger
    assert first.json == second.json
    assert all(
        first.headers[name] == second.headers[name]
        for name in ("authorization", "content-type", "accept")
    )


def refused(provider: SendGrid, messages: list[Outbound]) -> tuple[ErrorClass, str]:
    with pytest.raises(ProviderError) as caught:
        Payloads(provider.connect(), provider.name).write(messages)
    return caught.value.error_class, caught.value.code


MESSAGE = ErrorClass.PERMANENT_MESSAGE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"parts": {"subject": "other", "text": "x"}}, "mixed_batch"),
        ({"reply_to": "other@b.example"}, "mixed_batch"),
        ({"tags": ("other",)}, "mixed_batch"),
        ({"attachments": ()}, "mixed_batch"),
        ({"values": {}}, "mixed_batch"),
        ({"to": "P0@kunde.example"}, "same_address"),
        ({"values": {f"{PREFIX}0_": "x\ny", f"{PREFIX}1_": ""}}, "line_break"),
        ({"values": {f"{PREFIX}0_": "", f"{PREFIX}1_": "x" * 10_000}}, "substitutions_too_large"),
        ({"values": {f"{PREFIX}0_": "", f"{PREFIX}1_": "✓" * 3_400}}, "substitutions_too_large"),
        ({"metadata": {"x": "y" * 10_000}}, "custom_args_too_large"),
        ({"headers": {"X-A": "1\nBcc: x@y.example"}}, "invalid_header"),
    ],
)
def test_a_batch_that_cannot_be_sent_is_refused(provider, change, code):
    first, second = batch(2)
    assert refused(provider, [first, replace(second, **change)]) == (MESSAGE, code)


def test_an_address_that_is_none_is_refused(provider):
    first, second = batch(2)
    found = refused(provider, [first, replace(second, to="nobody")])
    assert found == (ErrorClass.PERMANENT_RECIPIENT, "invalid_address")


def test_the_largest_values_are_taken(provider):
    values = {f"{PREFIX}0_": "", f"{PREFIX}1_": "✓" * 3_330}
    messages = [replace(message, values=values) for message in batch(2)]
    check(ours(provider, messages))


def test_limits_of_a_request(provider, monkeypatch):
    check(ours(provider, batch(1000)))
    assert refused(provider, batch(1001)) == (MESSAGE, "batch_too_long")
    monkeypatch.setattr(sendgrid_payload, "MAX_REQUEST", 100)
    assert refused(provider, [PLAIN]) == (MESSAGE, "too_large")


def test_a_batch_arrives_with_each_ones_values():
    with SendGridServer(api_key="k") as server:
        provider = SendGrid("s", api_key="k", api_url=server.api_url, webhook_public_key="")
        messages = batch(provider.batch_limit)
        sent = carry(provider, messages)
        close(provider)
        assert len(server.ledger) == 1
        assert {mail.message_id for mail in server.messages} == {sent.ref}
        for mail, message in zip(server.messages, messages, strict=True):
            assert mail.recipient == message.to
            assert mail.personalization["substitutions"] == message.values
            assert mail.custom_args["attempt_id"] == str(message.attempt_id)
            assert mail.personalization["headers"]["Message-ID"] == message_id(message)


def carry(provider: SendGrid, messages: list[Outbound]) -> Any:
    return run(provider.carry(messages))


def test_nothing_of_a_batch_is_sent_where_one_cannot_be():
    with SendGridServer(api_key="k") as server:
        provider = SendGrid("s", api_key="k", api_url=server.api_url, webhook_public_key="")
        first, second = batch(2)
        with pytest.raises(ProviderError) as caught:
            carry(provider, [first, replace(second, to="nobody")])
        close(provider)
        assert len(server.ledger) == 0
    assert caught.value.error_class is ErrorClass.PERMANENT_RECIPIENT
