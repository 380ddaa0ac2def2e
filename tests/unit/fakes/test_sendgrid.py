from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.fakes.behaviours import Behaviour, Hang, Reset, Status, failed_after_accept
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.sendgrid_events import SIGNATURE_HEADER, TIMESTAMP_HEADER, SendGridWebhook, event
from tests.fakes.webhooks import WebhookPost
from tests.providers.vectors import SENDGRID


def mail(*recipients: str, **changes: Any) -> dict[str, Any]:
    people = [
        {"to": [{"email": email}], "custom_args": {"comms_attempt": f"at-{email}"}}
        for email in recipients or ("alice@example.com",)
    ]
    return {
        "personalizations": people,
        "from": {"email": "desk@example.com", "name": "Desk"},
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "Hi"}, {"type": "text/html", "value": "Hi"}],
        **changes,
    }


def send(
    server: SendGridServer, data: Any, key: str = "SG.fake", timeout: float = 5
) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = data if isinstance(data, str) else json.dumps(data)
    url = server.api_url + "mail/send"
    return requests.post(url, data=body, headers=headers, timeout=timeout)


def verify(post: WebhookPost, public_key: str) -> None:
    check_signature(
        public_key, post.headers[SIGNATURE_HEADER], post.headers[TIMESTAMP_HEADER], post.body
    )


def check_signature(public_key: str, signature: str, timestamp: str, body: bytes) -> None:
    key = load_der_public_key(base64.b64decode(public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(signature), timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))


def test_a_good_mail_is_taken_for_each_address(sendgrid: SendGridServer) -> None:
    answer = send(sendgrid, mail("alice@example.com", "bob@example.com"))

    assert (answer.status_code, answer.content) == (202, b"")
    alice, bob = sendgrid.messages
    assert [alice.recipient, bob.recipient] == ["alice@example.com", "bob@example.com"]
    assert alice.message_id == answer.headers["X-Message-Id"]
    assert bob.custom_args == {"comms_attempt": "at-bob@example.com"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ("{not json", None),
        (mail(personalizations=[]), "personalizations"),
        (mail(personalizations=[{"to": []}]), "personalizations.0.to"),
        (mail("not-an-address"), "personalizations.0.to.email"),
        (mail("alice@example.com", "ALICE@example.com"), "personalizations"),
        (mail(*(f"u{n}@example.com" for n in range(1001))), "personalizations"),
        (mail(**{"from": {"email": "d\u00e9sk@example.com"}}), "from.email"),
        (mail(content=[]), "content"),
        (mail(content=[{"type": "text/plain", "value": ""}]), "content.0.value"),
        (mail(subject=""), "subject"),
        (mail(categories=["a", "a"]), "categories"),
        (mail(custom_args={"n": "x" * 10_000}), "custom_args"),
        (mail(send_at=int(time.time()) + 73 * 3600), "send_at"),
    ],
)
def test_what_the_real_one_refuses_at_once(
    sendgrid: SendGridServer, data: Any, field: str | None
) -> None:
    answer = send(sendgrid, data)

    assert answer.status_code == 400
    assert answer.json()["errors"][0].keys() == {"message", "field", "help"}
    assert answer.json()["errors"][0]["field"] == field
    assert not sendgrid.accepted
    assert not len(sendgrid.messages)


def test_a_wrong_key_is_401(sendgrid: SendGridServer) -> None:
    assert send(sendgrid, mail(), key="SG.other").status_code == 401


def test_the_sandbox_takes_nothing(sendgrid: SendGridServer) -> None:
    data = mail(mail_settings={"sandbox_mode": {"enable": True}})
    assert send(sendgrid, data).status_code == 200
    assert not len(sendgrid.messages)


def test_throttling_tells_when_the_limit_resets(sendgrid: SendGridServer) -> None:
    sendgrid.script.next(sendgrid.throttled(reset_in=5))
    answer = send(sendgrid, mail())
    assert answer.status_code == 429
    assert answer.json()["errors"][0]["message"] == "too many requests"
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 6


@pytest.mark.parametrize(
    ("behaviour", "error"), [(Hang(), requests.ReadTimeout), (Reset(), requests.ConnectionError)]
)
def test_a_lost_answer_still_leaves_the_mail_sent(
    sendgrid: SendGridServer, behaviour: Behaviour, error: type[Exception]
) -> None:
    sendgrid.script.when("alice@example.com", behaviour)
    with pytest.raises(error):
        send(sendgrid, mail("bob@example.com", "alice@example.com"), timeout=0.3)
    assert len(sendgrid.messages) == 2


def test_500_after_accept_has_sent_and_503_has_not(sendgrid: SendGridServer) -> None:
    sendgrid.script.next(failed_after_accept(), Status(503))
    assert send(sendgrid, mail("alice@example.com")).status_code == 500
    assert send(sendgrid, mail("bob@example.com")).status_code == 503
    assert [sent.recipient for sent in sendgrid.messages] == ["alice@example.com"]


def test_a_script_by_pattern_and_in_order(sendgrid: SendGridServer) -> None:
    sendgrid.script.when("*@slow.example", Status(503), sendgrid.throttled(), Status(401))
    codes = [send(sendgrid, mail("Ann@Slow.example")).status_code for _ in range(4)]
    assert codes == [503, 429, 401, 401]
    assert send(sendgrid, mail("ann@quick.example")).status_code == 202


def test_events_carry_the_custom_args_at_top_level(sendgrid: SendGridServer) -> None:
    send(sendgrid, mail(categories=["welcome"]))
    webhook = SendGridWebhook()
    sent = sendgrid.messages.last

    post = webhook.post(event(sent, "processed"), event(sent, "blocked"), event(sent, "click"))

    verify(post, webhook.public_key)
    processed, blocked, click = json.loads(post.body)
    assert processed["comms_attempt"] == "at-alice@example.com"
    assert processed["category"] == ["welcome"]
    assert processed["sg_message_id"].startswith(f"{sent.message_id}.")
    assert (blocked["event"], blocked["type"]) == ("bounce", "blocked")
    assert click["url"] == "https://example.com/"
    assert len({entry["sg_event_id"] for entry in (processed, blocked, click)}) == 3


def test_a_broken_signature_and_a_stale_timestamp(sendgrid: SendGridServer) -> None:
    send(sendgrid, mail())
    webhook = SendGridWebhook()
    delivered = event(sendgrid.messages.last, "delivered")

    with pytest.raises(InvalidSignature):
        verify(webhook.post(delivered, broken=True), webhook.public_key)
    stale = webhook.post(delivered, age=3600)
    verify(stale, webhook.public_key)
    assert int(stale.headers[TIMESTAMP_HEADER]) < time.time() - 3000
    assert SIGNATURE_HEADER not in webhook.post(delivered, signed=False).headers


def test_our_way_to_verify_agrees_with_the_vendors_vector() -> None:
    good = (SENDGRID.public_key, SENDGRID.signature, SENDGRID.timestamp, SENDGRID.payload)
    check_signature(*good)
    for position, wrong in enumerate(
        (SENDGRID.wrong_key, SENDGRID.wrong_signature, SENDGRID.wrong_timestamp, b"payload")
    ):
        bad: list[Any] = list(good)
        bad[position] = wrong
        with pytest.raises(InvalidSignature):
            check_signature(*bad)
