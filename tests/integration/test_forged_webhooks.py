"""Every provider's door, attacked: what the vendor did not just sign changes nothing, and breaks nothing.

The same calls, honest, do change something: that is the control of each row.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as service
from django.db import connection
from django.test import Client
from django.utils.module_loading import import_string
from structlog.testing import capture_logs

from commsproject.common.ids import new_id
from notifications.models import Attempt, Delivery, Event, Suppression
from notifications.providers import simulator
from notifications.providers.base import Provider
from notifications.providers.common import aws, sns
from tests.factories import AttemptFactory
from tests.fakes import aws_sms, sendgrid, sendgrid_events, ses_events, twilio
from tests.fakes.http import FakeHttpServer
from tests.fakes.sendgrid_events import SendGridWebhook
from tests.fakes.ses import SentMail
from tests.fakes.sns import SnsTopic
from tests.fakes.webhooks import WebhookPost
from tests.integration.test_webhooks_in import body_of, report, signed
from tests.providers.contract import payload
from tests.providers.test_esp_webhooks import ATTEMPT, basic
from tests.walk import each
from tracking.models import Bounce, InboundMessage, WebhookReceipt
from tracking.services import ingest
from tracking.webhooks import MAX_BYTES

pytestmark = pytest.mark.django_db

KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENDGRID, TOPIC = SendGridWebhook(), SnsTopic()
DEEP = b'{"a":' * 50_000

AMAZON = {
    "access_key_id": "AKIA",
    "secret_access_key": KEY,
    "region": "eu-central-1",
    "topic_arns": [TOPIC.arn],
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "simulator": {},
    "sendgrid": {"api_key": KEY, "webhook_public_key": SENDGRID.public_key, "inbound_secret": KEY},
    "ses": AMAZON,
    "aws_sms": AMAZON,
    "twilio": {"account_sid": "AC0", "auth_token": KEY, "from_number": "+15005550006"},
    "postmark": {"server_token": KEY, "webhook_secret": KEY},
    "mailgun": {"api_key": KEY, "signing_key": KEY},
    "resend": {"api_key": KEY, "webhook_secret": KEY},
    "brevo": {"api_key": KEY, "webhook_secret": KEY},
}


# --- What the vendors would post, `age` seconds ago ----------------------------------------------

Sign = Callable[[Attempt, float], WebhookPost]


def captured(name: str, attempt: Attempt) -> bytes:
    return payload(name).replace(str(ATTEMPT).encode(), str(attempt.id).encode())


def by_simulator(attempt: Attempt, age: float) -> WebhookPost:
    body = body_of(report(attempt.id, "bounced"))
    return WebhookPost(body, signed(body, age=age))


def by_sendgrid(attempt: Attempt, age: float) -> WebhookPost:
    args = {"attempt_id": str(attempt.id)}
    mail = sendgrid.SentMail("ada@example.org", "m", "s", args, [], {}, {})
    return SENDGRID.post(sendgrid_events.event(mail, "bounce"), age=age)


def by_sendgrid_parse(attempt: Attempt, age: float) -> WebhookPost:
    kind = "multipart/form-data; boundary=xYzZY"
    body = payload("sendgrid_inbound.form")
    return WebhookPost(body, {"Content-Type": kind, "Authorization": basic("comms", KEY)})


def by_ses(attempt: Attempt, age: float) -> WebhookPost:
    tags = {"attempt_id": str(attempt.id)}
    mail = SentMail("ada@example.org", "m", EmailMessage(), b"", tags, None, "a@example.com", [])
    return TOPIC.notification(ses_events.bounce(mail), age=age)


def by_aws_sms(attempt: Attempt, age: float) -> WebhookPost:
    sent = aws_sms.SentText(
        "+4915112345678", "x", "m", "eum", context={"attempt_id": str(attempt.id)}
    )
    return TOPIC.notification(aws_sms.event(sent, "INVALID"), age=age)


def by_twilio(attempt: Attempt, age: float) -> WebhookPost:
    url = f"{service.PUBLIC_URL}/webhooks/twilio/status/?attempt={attempt.id}"
    return twilio.post(KEY, url, {**TWILIO, "MessageStatus": "undelivered", "ErrorCode": "30005"})


def by_a_texter(attempt: Attempt, age: float) -> WebhookPost:
    url = f"{service.PUBLIC_URL}/webhooks/twilio/inbound/"
    told = {"SmsStatus": "received", "Body": "STOP", "From": "+4915112345678"}
    return twilio.post(KEY, url, {**TWILIO, **told})


TWILIO = {"AccountSid": "AC0", "MessageSid": f"SM{'0' * 32}", "To": "+15005550006"}


def by_postmark(attempt: Attempt, age: float) -> WebhookPost:
    return WebhookPost(
        captured("postmark_bounce.json", attempt), {"Authorization": basic("comms", KEY)}
    )


def by_brevo(attempt: Attempt, age: float) -> WebhookPost:
    return WebhookPost(
        captured("brevo_hard_bounce.json", attempt), {"Authorization": f"Bearer {KEY}"}
    )


def by_mailgun(attempt: Attempt, age: float) -> WebhookPost:
    return mailgun_event(attempt, mailgun_proof(age))


def by_a_route(attempt: Attempt, age: float) -> WebhookPost:
    return mailgun_mail(mailgun_proof(age))


def mailgun_proof(age: float = 0) -> dict[str, str]:
    stamp, token = str(int(time.time() - age)), new_id().hex
    made = hmac.new(KEY.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": stamp, "token": token, "signature": made}


def mailgun_event(attempt: Attempt, proof: dict[str, str]) -> WebhookPost:
    row = json.loads(captured("mailgun_failed.json", attempt))
    return WebhookPost(json.dumps({**row, "signature": proof}).encode())


def mailgun_mail(proof: dict[str, str]) -> WebhookPost:
    _, _, fields = payload("mailgun_inbound.form").partition(b"&signature=0&")
    kind = "application/x-www-form-urlencoded"
    return WebhookPost(f"{urlencode(proof)}&".encode() + fields, {"Content-Type": kind})


def by_resend(attempt: Attempt, age: float) -> WebhookPost:
    body = captured("resend_bounced.json", attempt)
    stamp = str(int(time.time() - age))
    made = hmac.new(base64.b64decode(KEY), f"msg_2f8a1c.{stamp}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(made.digest()).decode()}"
    return WebhookPost(
        body, {"svix-id": "msg_2f8a1c", "svix-timestamp": stamp, "svix-signature": signature}
    )


@dataclass(frozen=True)
class Door:
    """A webhook of a provider, and the row that an honest call makes. `proof` names the headers that
    show who sends, none where the body does; `ages`: it says when it was signed; `binds`: the proof
    is of the body.
    """

    path: str
    sign: Sign
    effect: type[Bounce | InboundMessage]
    proof: tuple[str, ...] = ()
    ages: bool = True
    binds: bool = True

    @property
    def provider(self) -> str:
        return self.path.partition("/")[0]

    def call(
        self, attempt: Attempt, post: WebhookPost, method: str = "POST", more: str = ""
    ) -> Any:
        """As the vendor calls, or one who pretends to be it."""
        headers = dict(post.headers)
        return Client(headers=headers).generic(
            method,
            f"/webhooks/{self.path.format(attempt=attempt.id)}{more}",
            post.body,
            content_type=headers.pop("Content-Type", "application/json"),
        )


SENDGRIDS = (sendgrid_events.SIGNATURE_HEADER, sendgrid_events.TIMESTAMP_HEADER)
SVIX = ("svix-id", "svix-timestamp", "svix-signature")
DOORS = [
    Door("simulator/", by_simulator, Bounce, (simulator.SIGNATURE, simulator.TIMESTAMP)),
    Door("sendgrid/", by_sendgrid, Bounce, SENDGRIDS),
    Door("sendgrid/inbound/", by_sendgrid_parse, InboundMessage, ("Authorization",), False, False),
    Door("ses/", by_ses, Bounce),
    Door("aws_sms/", by_aws_sms, Bounce),
    Door("twilio/status/?attempt={attempt}", by_twilio, Bounce, ("X-Twilio-Signature",), False),
    Door("twilio/inbound/", by_a_texter, InboundMessage, ("X-Twilio-Signature",), False),
    Door("postmark/", by_postmark, Bounce, ("Authorization",), False, False),
    Door("mailgun/", by_mailgun, Bounce, (), binds=False),
    Door("mailgun/inbound/", by_a_route, InboundMessage, (), binds=False),
    Door("resend/", by_resend, Bounce, SVIX),
    Door("brevo/", by_brevo, Bounce, ("Authorization",), False, False),
]


@pytest.fixture
def attempt(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Every vendor's provider is on; Amazon's certificate is at hand."""
    monkeypatch.setattr(sns, "fetch_certificate", TOPIC.fetch)
    settings.PROVIDERS = {
        name: {**entry, "ENABLED": True, "OPTIONS": {**entry["OPTIONS"], **OPTIONS[name]}}
        for name, entry in settings.PROVIDERS.items()
        if name in OPTIONS
    }
    made: Attempt = AttemptFactory.create()
    return made


def made_by(door: Door) -> Attempt:
    made: Attempt = AttemptFactory.create(provider=door.provider)
    return made


def forgeries(door: Door, attempt: Attempt) -> Iterator[tuple[str, WebhookPost]]:
    """What is refused, and why."""
    yield "nothing at all", WebhookPost(b"")
    for kind in ("text/html", "multipart/form-data", "multipart/form-data; boundary=", "x"):
        yield kind, WebhookPost(DEEP, {"Content-Type": kind})
    for body in (b"[" * 100_000, b"\xff\x00", b"null", b"x" * MAX_BYTES):
        yield "a body of nobody", WebhookPost(body, {"X-Webhook-Signature": "v1,x"})
    good = door.sign(attempt, 0)
    yield from _with_other_headers(door, good)
    for age in (-4000, 100_000) if door.ages else ():
        yield f"signed {age} s ago", door.sign(attempt, age)
    if door.binds:
        for body in _other_bodies(good.body):
            yield "another body", WebhookPost(body, good.headers)


def _with_other_headers(door: Door, good: WebhookPost) -> Iterator[tuple[str, WebhookPost]]:
    for name in door.proof:
        without = {key: value for key, value in good.headers.items() if key != name}
        yield f"no {name}", WebhookPost(good.body, without)
        for value in ("", "\u00e9", "=", "a" * 8000, _changed(good.headers[name]), DEEP.decode()):
            yield f"{name}: {value[:9]}", WebhookPost(good.body, {**without, name: value})


def _changed(text: str) -> str:
    """Not at the end, whose last bits base64 may leave out."""
    return f"{text[:-6]}{'B' if text[-6] == 'A' else 'A'}{text[-5:]}"


def _other_bodies(body: bytes) -> Iterator[bytes]:
    yield from (body + b"&x=1", DEEP, b"")
    signed_part = len(body.partition(b'"Signature"')[0])  # Amazon's proof is behind what it signs
    for place in range(0, signed_part, signed_part // 40):
        flipped = bytearray(body)
        flipped[place] ^= 1
        yield bytes(flipped)


@each("door", DOORS)
def test_what_the_vendor_did_not_sign_has_no_effect(attempt: Attempt, door: Door) -> None:
    Attempt.objects.update(provider=door.provider)
    before = Delivery.objects.get().state
    WebhookReceipt.objects.all().delete()
    told = door.effect.objects.count()
    for why, forged in forgeries(door, attempt):
        answer = door.call(attempt, forged)
        assert answer.status_code == 400, (why, answer.content)
        assert answer.json()["code"] == "bad_signature", why
    assert door.call(attempt, WebhookPost(b"x" * 10_000_000)).status_code in (400, 413)
    good = door.sign(attempt, 0)
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        assert door.call(attempt, good, method).status_code == 405, method
    assert door.call(attempt, good, "HEAD").status_code == 200  # vendors' consoles look
    assert not WebhookReceipt.objects.exists()
    ingest.run()
    assert door.effect.objects.count() == told
    assert Delivery.objects.get().state == before


@each("door", DOORS)
def test_what_it_did_sign_has_one_however_often_it_comes(attempt: Attempt, door: Door) -> None:
    mine = made_by(door)
    told, good = door.effect.objects.count(), door.sign(mine, 0)
    receipts = WebhookReceipt.objects.count()
    for number in range(30):
        assert door.call(mine, good).status_code == 200
        if number % 10 == 0:
            ingest.run()
    assert WebhookReceipt.objects.count() == receipts + 1
    assert door.effect.objects.count() == told + 1
    if door.effect is Bounce:
        assert Delivery.objects.get(id=mine.delivery_id).state == "bounced"
    # Where the address is not signed, the same body elsewhere is another webhook with no effect.
    for number in range(5):
        more = f"{'&' if '?' in door.path else '?'}again={number}"
        assert door.call(mine, good, more=more).status_code in (200, 400)
    ingest.run()
    assert door.effect.objects.count() == told + 1
    assert not WebhookReceipt.objects.exclude(error="").exists()


def door_at(path: str) -> Door:
    (found,) = (one for one in DOORS if one.path == path)
    return found


def test_mailguns_proof_is_of_the_moment_alone(attempt: Attempt) -> None:
    door = door_at("mailgun/")
    row = json.loads(door.sign(attempt, 0).body)
    for name, value in row["signature"].items():
        for other in (_changed(value), "", None, [value], 7):
            forged = {**row, "signature": {**row["signature"], name: other}}
            answer = door.call(attempt, WebhookPost(json.dumps(forged).encode()))
            assert answer.status_code == 400, (name, other)
    assert not WebhookReceipt.objects.exists()


def test_mailguns_proof_is_good_for_one_body(attempt: Attempt) -> None:
    """It covers none: who has read a webhook on its way may write another around the signature."""
    events, mails = door_at("mailgun/"), door_at("mailgun/inbound/")
    first, other = made_by(events), made_by(events)
    for door, make in (
        (events, lambda proof: mailgun_event(first, proof)),
        (mails, mailgun_mail),
    ):
        proof = mailgun_proof()
        good = make(proof)
        assert door.call(first, good).status_code == 200
        forged = mailgun_event(other, proof)
        for where, post in (
            (events, forged),
            (mails, forged),
            (events, mailgun_mail(proof)),
            (mails, WebhookPost(mailgun_mail(proof).body + b"&x=1")),
            (door, WebhookPost(good.body + b" ", good.headers)),
            (events, WebhookPost(forged.body.replace(b'"signature"', b'"x": 1, "signature"'))),
        ):
            answer = where.call(other, post)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
        assert door.call(first, good).status_code == 200, "which Mailgun repeats"
    assert WebhookReceipt.objects.count() == 2
    ingest.run()
    assert Bounce.objects.get().delivery_id == first.delivery_id
    assert InboundMessage.objects.count() == 1
    WebhookReceipt.objects.update(body=b"", path="")  # as an erasure leaves it
    assert events.call(other, forged).status_code == 200
    ingest.run()
    assert WebhookReceipt.objects.count() == 2
    assert Delivery.objects.get(id=other.delivery_id).state == "sent"


@pytest.mark.django_db(transaction=True)
def test_of_two_bodies_with_one_proof_at_once_one_is_taken(attempt: Attempt) -> None:
    door, at_once, rounds = door_at("mailgun/"), 4, 8
    ready = threading.Barrier(at_once)

    def post(target: Attempt, proof: dict[str, str]) -> int:
        try:
            made = mailgun_event(target, proof)
            ready.wait(30)
            return int(door.call(target, made).status_code)
        finally:
            connection.close()

    targets = [made_by(door) for _ in range(at_once)]
    with ThreadPoolExecutor(at_once) as pool:
        for _ in range(rounds):
            proofs = [mailgun_proof()] * at_once
            assert sorted(pool.map(post, targets, proofs)) == [200, 400, 400, 400]
    assert WebhookReceipt.objects.count() == rounds


@each("door", [door for door in DOORS if door.effect is Bounce])
def test_no_vendor_tells_of_anothers_messages(attempt: Attempt, door: Door) -> None:
    """Whoever holds the weakest of the secrets; `simulator-b` has the simulator's own."""
    others: Attempt = AttemptFactory.create(provider="simulator-b")
    with capture_logs() as logs:
        assert door.call(others, door.sign(others, 0)).status_code == 200
        ingest.run()
    assert Delivery.objects.get(id=others.delivery_id).state == "sent"
    for kind in (Event, Bounce, Suppression):
        assert not kind.objects.exists()
    receipt = WebhookReceipt.objects.get(provider=door.provider)
    assert (receipt.processed_at is not None, receipt.error) == (True, ingest.OTHERS)
    (line,) = (one for one in logs if one["event"] == "reports left out")
    line.pop("log_level")
    assert line == {
        "event": "reports left out",
        "provider": door.provider,
        "attempts": 1,
        "made_by": ["simulator-b"],
    }


def test_what_nobody_can_read_holds_up_nothing(attempt: Attempt) -> None:
    """From somebody who knows the secret."""
    door = door_at("postmark/")
    good = door.sign(made_by(door), 0)
    unread = (DEEP, b"[" * 100_000, b"[1, null, []]", b"\xff", b"9" * 5000, b'{"RecordType": {}}')
    for body in unread:
        assert door.call(attempt, WebhookPost(body, good.headers)).status_code == 200
    assert door.call(attempt, good).status_code == 200
    ingest.run()
    assert Bounce.objects.count() == 1
    assert WebhookReceipt.objects.filter(tries=1).count() == len(unread) + 1


def test_every_provider_that_takes_webhooks_is_here(settings: Any) -> None:
    able = {
        name
        for name, entry in settings.PROVIDERS.items()
        if import_string(entry["CLASS"]).verify is not Provider.verify
    }
    assert able == {door.provider for door in DOORS} | {"simulator-b"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_of_a_provider_that_is_none_there_is_no_door(attempt: Attempt, method: str) -> None:
    for name in ("fcm", "nobody", "SES", "ses/../brevo", "%00", "sendgrid%0d%0aX: y"):
        answer = Client().generic(method, f"/webhooks/{name}/", b"{}")
        assert answer.status_code in (400, 404, 405), name
    assert Client().head("/webhooks/nobody/").status_code == 404


def test_an_address_in_a_subscription_is_never_called(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon asks to fetch `SubscribeURL`; we ask SNS itself, and only about topics of ours."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        aws.Account, "confirm", lambda _, topic, token: asked.append((topic, token))
    )
    with FakeHttpServer() as trap:
        for topic in (TOPIC, SnsTopic("arn:aws:sns:eu-central-1:999999999999:ses-events")):
            monkeypatch.setattr(topic, "host", trap.url)
            monkeypatch.setattr(sns, "fetch_certificate", topic.fetch)
            post = topic.subscription_confirmation()
            assert json.loads(post.body)["SubscribeURL"].startswith(trap.url)
            Door("ses/", by_ses, Bounce).call(attempt, post)
            ingest.run()
        assert trap.connections == 0
    assert [topic for topic, _ in asked] == [TOPIC.arn]
