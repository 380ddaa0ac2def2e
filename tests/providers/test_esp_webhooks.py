"""What Postmark, Mailgun, Resend and Brevo report back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import time_machine

from notifications.providers.base import BadSignature, CannotVerify, Provider, Webhook
from notifications.providers.brevo import Brevo
from notifications.providers.mailgun import MAX_AGE, Mailgun
from notifications.providers.postmark import BOUNCES, Postmark
from notifications.providers.resend import Resend
from notifications.types import EventType, ProviderEvent
from tests.providers.contract import flips, payload

ATTEMPT = UUID("019a0000-0000-7000-8000-000000000001")
SECRETS = "old-secret, new-secret"


def postmark(secrets: str = SECRETS) -> Postmark:
    return Postmark(
        "postmark", server_token="t", api_url="https://x", message_stream="", webhook_secret=secrets
    )


def mailgun(keys: str = SECRETS) -> Mailgun:
    return Mailgun("mailgun", api_key="k", sender_domain="", api_url="https://x", signing_key=keys)


def resend(secrets: str) -> Resend:
    return Resend("resend", api_key="k", api_url="https://x", webhook_secret=secrets)


def brevo(secrets: str = SECRETS) -> Brevo:
    return Brevo("brevo", api_key="k", api_url="https://x", webhook_secret=secrets)


PROVIDERS: dict[str, Callable[[], Provider]] = {
    "postmark": postmark,
    "mailgun": mailgun,
    "resend": lambda: resend("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    "brevo": brevo,
}


def parse(name: str, body: bytes, kind: str = "") -> list[Any]:
    provider = PROVIDERS[name]()
    return list(provider.parse(Webhook(body, {}, f"/webhooks/{name}/{kind}")))


def event(name: str, **changes: Any) -> ProviderEvent:
    """The event of a captured payload, with some of its fields changed."""
    row = json.loads(payload(name))
    inner = row.get("event-data") or row.get("data") or row
    inner.update(changes)
    (found,) = parse(name.partition("_")[0], json.dumps(row).encode())
    assert isinstance(found, ProviderEvent)
    return found


# Captured payloads


@pytest.mark.parametrize(
    ("name", "kind", "permanent", "address", "code", "data"),
    [
        ("postmark_delivery.json", EventType.DELIVERED, False, "john@example.com", "", {}),
        ("postmark_bounce.json", EventType.BOUNCED, True, "john@example.com", "HardBounce", {}),
        (
            "postmark_complaint.json",
            EventType.COMPLAINED,
            False,
            "john@example.com",
            "SpamComplaint",
            {},
        ),
        (
            "postmark_open.json",
            EventType.OPENED,
            False,
            "john@example.com",
            "",
            {"user_agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0"},
        ),
        (
            "postmark_click.json",
            EventType.CLICKED,
            False,
            "john@example.com",
            "",
            {"user_agent": "Mozilla/5.0 (Macintosh)", "url": "https://example.com/click/me"},
        ),
        ("postmark_unsubscribe.json", EventType.UNSUBSCRIBED, False, "john@example.com", "", {}),
        ("mailgun_delivered.json", EventType.DELIVERED, False, "recipient@example.com", "250", {}),
        ("mailgun_failed.json", EventType.BOUNCED, True, "recipient@example.com", "bounce/550", {}),
        (
            "mailgun_delayed.json",
            EventType.DEFERRED,
            False,
            "recipient@example.com",
            "greylisted/450",
            {},
        ),
        (
            "mailgun_clicked.json",
            EventType.CLICKED,
            False,
            "recipient@example.com",
            "",
            {
                "ip": "198.51.100.1",
                "url": "https://example.com/welcome",
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
            },
        ),
        ("resend_delivered.json", EventType.DELIVERED, False, "to@example.org", "", {}),
        (
            "resend_bounced.json",
            EventType.BOUNCED,
            True,
            "to@example.org",
            "Permanent/Suppressed",
            {},
        ),
        ("resend_bounced_old.json", EventType.BOUNCED, True, "to@example.org", "", {}),
        (
            "resend_clicked.json",
            EventType.CLICKED,
            False,
            "to@example.org",
            "",
            {
                "ip": "122.115.53.11",
                "user_agent": "Mozilla/5.0 (Macintosh)",
                "url": "https://resend.com",
            },
        ),
        ("brevo_request.json", EventType.SENT, False, "recipient@example.com", "request", {}),
        (
            "brevo_hard_bounce.json",
            EventType.BOUNCED,
            True,
            "recipient@example.com",
            "hard_bounce",
            {},
        ),
        (
            "brevo_click.json",
            EventType.CLICKED,
            False,
            "recipient@example.com",
            "click",
            {"url": "https://example.com/a"},
        ),
        (
            "brevo_complaint.json",
            EventType.COMPLAINED,
            False,
            "recipient@example.com",
            "complaint",
            {},
        ),
    ],
)
def test_each_captured_payload(name, kind, permanent, address, code, data):
    (found,) = parse(name.partition("_")[0], payload(name))
    assert found.attempt_id == ATTEMPT
    assert (found.type, found.permanent, found.address) == (kind, permanent, address)
    assert (found.code, found.data) == (code, data)
    assert address not in found.detail
    assert found.provider_ref
    assert found.at.tzinfo is not None
    assert len(found.dedupe) <= 200


@pytest.mark.parametrize(
    ("name", "at", "ref"),
    [
        (
            "postmark_bounce.json",
            datetime(2016, 4, 27, 20, 28, 50, 396393, UTC),
            "883953f4-6105-42a2-a16a-77a8eac79483",
        ),
        (
            "mailgun_delivered.json",
            datetime(2018, 8, 12, 21, 17, 17, 153125, UTC),
            "<019a0000-0000-7000-8000-000000000002@example.com>",
        ),
        (
            "resend_delivered.json",
            datetime(2023, 9, 28, 17, 19, 44, 823000, UTC),
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        ),
        (
            "brevo_request.json",
            datetime(2018, 3, 6, 19, 10, 23, tzinfo=UTC),
            "<201803062010.27287306012@smtp-relay.mailin.fr>",
        ),
    ],
)
def test_when_it_was_and_of_which_message(name, at, ref):
    (found,) = parse(name.partition("_")[0], payload(name))
    assert (found.at, found.provider_ref) == (at, ref)


def test_the_reason_of_a_bounce_is_kept_without_the_address():
    assert event("postmark_bounce.json").detail == "smtp;550 5.1.1 <[address]>: user unknown"
    assert "[address]" in event("mailgun_failed.json").detail
    assert "[address]" in event("resend_bounced.json").detail
    assert event("brevo_hard_bounce.json").detail.startswith(
        "RecipientError: 550 5.1.1 <[address]>"
    )


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_the_same_event_has_the_same_key_and_another_has_another(name):
    files = {
        "postmark": ["postmark_delivery.json", "postmark_open.json", "postmark_click.json"],
        "mailgun": ["mailgun_delivered.json", "mailgun_failed.json"],
        "resend": ["resend_delivered.json", "resend_clicked.json", "resend_bounced.json"],
        "brevo": ["brevo_request.json", "brevo_click.json", "brevo_hard_bounce.json"],
    }[name]
    changed = {"mailgun": {"id": "other"}}
    keys = [
        event(file, **changed.get(name, {}) if file == files[0] else {}).dedupe for file in files
    ]
    assert len(set(keys)) == len(files)
    assert keys == [
        event(file, **changed.get(name, {}) if file == files[0] else {}).dedupe for file in files
    ]


@pytest.mark.parametrize("value", [None, "", "nobody", {}, 7])
def test_an_id_that_is_none_of_ours(value):
    assert event("postmark_delivery.json", Metadata={"attempt_id": value}).attempt_id is None
    assert (
        event("mailgun_delivered.json", **{"user-variables": {"attempt_id": value}}).attempt_id
        is None
    )
    assert event("resend_delivered.json", tags={"attempt_id": value}).attempt_id is None
    custom = json.dumps({"attempt_id": value})
    assert event("brevo_request.json", **{"X-Mailin-custom": custom}).attempt_id is None


def test_a_message_without_our_metadata():
    assert event("postmark_delivery.json", Metadata=None).attempt_id is None
    assert event("mailgun_delivered.json", **{"user-variables": None}).attempt_id is None
    assert event("resend_delivered.json", tags=None).attempt_id is None
    for custom in (None, "some words", "[1]"):
        assert event("brevo_request.json", **{"X-Mailin-custom": custom}).attempt_id is None


# The vendors' words


@pytest.mark.parametrize(("word", "expected"), sorted(BOUNCES.items()))
def test_each_type_of_bounce_of_postmark(word, expected):
    found = event("postmark_bounce.json", Type=word)
    assert (found.type, found.permanent) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"Type": "AutoResponder"},
        {"Type": "SomethingNew"},
        {"RecordType": "Inbound"},
        {"RecordType": None},
    ],
)
def test_unknown_kinds_of_postmark_are_left_out(changes):
    row = json.loads(payload("postmark_bounce.json")) | changes
    assert parse("postmark", json.dumps(row).encode()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"SuppressSending": False, "SuppressionReason": None},
        {"SuppressionReason": "HardBounce"},
        {"SuppressionReason": "SpamComplaint"},
    ],
)
def test_a_change_of_subscription_that_is_no_opt_out(changes):
    row = json.loads(payload("postmark_unsubscribe.json")) | changes
    assert parse("postmark", json.dumps(row).encode()) == []


@pytest.mark.parametrize(
    ("reason", "status", "permanent"),
    [
        ("bounce", {"code": 550, "message": "5.1.1 no such user"}, True),
        ("bounce", {"code": 550, "message": "mailbox unavailable"}, True),
        ("bounce", {"code": 550, "message": "5.7.1 blocked by policy"}, False),
        ("bounce", {"code": 552, "message": "5.2.2 mailbox full"}, False),
        ("bounce", {"code": 550, "message": "", "bounce-type": "soft"}, False),
        ("generic", {"code": 550, "message": "5.1.1"}, False),
        ("old", {"code": 602, "message": "Too old"}, False),
        ("suppress-bounce", {"code": 605, "message": ""}, True),
        ("bounce", None, True),
    ],
)
def test_which_failures_of_mailgun_are_about_the_address(reason, status, permanent):
    found = event("mailgun_failed.json", reason=reason, **{"delivery-status": status})
    assert (found.type, found.permanent) == (EventType.BOUNCED, permanent)


def test_what_mailgun_did_not_send_after_an_opt_out():
    found = parse("mailgun", payload("mailgun_unsubscribed_before.json"))
    assert [(each.type, each.permanent) for each in found] == [
        (EventType.BOUNCED, False),
        (EventType.UNSUBSCRIBED, False),
    ]
    assert found[0].dedupe != found[1].dedupe


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("accepted", EventType.SENT),
        ("rejected", EventType.BOUNCED),
        ("opened", EventType.OPENED),
        ("complained", EventType.COMPLAINED),
        ("unsubscribed", EventType.UNSUBSCRIBED),
    ],
)
def test_mailguns_other_words(word, kind):
    found = event("mailgun_delivered.json", event=word)
    assert (found.type, found.permanent) == (kind, False)
    suppressed = event("mailgun_failed.json", reason="suppress-complaint")
    assert suppressed.type is EventType.COMPLAINED


@pytest.mark.parametrize(
    ("word", "bounce", "kind", "permanent"),
    [
        ("email.sent", None, EventType.SENT, False),
        ("email.delivery_delayed", None, EventType.DEFERRED, False),
        ("email.complained", None, EventType.COMPLAINED, False),
        ("email.opened", None, EventType.OPENED, False),
        ("email.failed", None, EventType.BOUNCED, False),
        ("email.suppressed", None, EventType.BOUNCED, True),
        ("email.bounced", {"type": "Transient", "message": "full"}, EventType.BOUNCED, False),
        ("email.bounced", {"type": "Undetermined"}, EventType.BOUNCED, False),
        ("email.bounced", {"type": "Permanent"}, EventType.BOUNCED, True),
        ("email.bounced", {"message": "a general bounce message"}, EventType.BOUNCED, False),
        (
            "email.bounced",
            {"message": "Resend has suppressed sending to this address"},
            EventType.BOUNCED,
            True,
        ),
    ],
)
def test_resends_words(word, bounce, kind, permanent):
    row = json.loads(payload("resend_delivered.json"))
    row["type"] = word
    if bounce:
        row["data"]["bounce"] = bounce
    (found,) = parse("resend", json.dumps(row).encode())
    assert (found.type, found.permanent) == (kind, permanent)


@pytest.mark.parametrize(
    ("word", "kind", "permanent"),
    [
        ("delivered", EventType.DELIVERED, False),
        ("deferred", EventType.DEFERRED, False),
        ("soft_bounce", EventType.BOUNCED, False),
        ("invalid_email", EventType.BOUNCED, True),
        ("blocked", EventType.BOUNCED, False),
        ("error", EventType.BOUNCED, False),
        ("spam", EventType.COMPLAINED, False),
        ("unsubscribed", EventType.UNSUBSCRIBED, False),
        ("unique_opened", EventType.OPENED, False),
        ("proxy_open", EventType.OPENED, False),
    ],
)
def test_brevos_words(word, kind, permanent):
    found = event("brevo_request.json", event=word)
    assert (found.type, found.permanent) == (kind, permanent)


def test_brevos_times_are_in_milliseconds_or_seconds():
    assert event("brevo_request.json", ts_epoch=1604933623).at.year == 2020
    assert event("brevo_request.json", ts_epoch=1604933623000).at.year == 2020
    assert event("brevo_complaint.json", ts_event=1604933654).at.year == 2020


def test_brevo_may_send_several_at_once():
    rows = [json.loads(payload("brevo_request.json")), json.loads(payload("brevo_click.json"))]
    assert len(parse("brevo", json.dumps(rows).encode())) == 2


UNKNOWN = {
    "mailgun": b'{"event-data": {"event": "list_member_uploaded"}}',
    "resend": b'{"type": "domain.created", "data": {}}',
    "brevo": b'{"event": "list_addition"}',
    "postmark": b"{}",
}


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_unknown_kinds_are_left_out(name):
    assert parse(name, UNKNOWN[name]) == []


@pytest.mark.parametrize("name", sorted(PROVIDERS))
@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[1]", b"null", b'"x"'])
def test_a_body_nobody_documents_is_an_error(name, body):
    with pytest.raises(ValueError):
        parse(name, body)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("postmark_delivery.json", "MessageID"),
        ("postmark_delivery.json", "DeliveredAt"),
        ("mailgun_delivered.json", "timestamp"),
        ("mailgun_delivered.json", "message"),
        ("resend_delivered.json", "to"),
        ("resend_delivered.json", "email_id"),
        ("brevo_request.json", "message-id"),
    ],
)
def test_an_event_without_what_it_needs_is_an_error(name, field):
    row = json.loads(payload(name))
    inner = row.get("event-data") or row.get("data") or row
    del inner[field]
    with pytest.raises(ValueError):
        parse(name.partition("_")[0], json.dumps(row).encode())


def test_one_of_a_batch_that_is_none_does_not_lose_the_others(caplog):
    good = json.loads(payload("brevo_request.json"))
    rows = [good, 1, {**good, "ts_epoch": "soon"}, {**good, "email": "b@example.com"}]
    found = parse("brevo", json.dumps(rows).encode())
    assert [event.address for event in found] == [good["email"], "b@example.com"]
    assert "2 of 4 events" in caplog.text


# A secret of ours: Postmark and Brevo


def called(authorization: str) -> Webhook:
    return Webhook(b"{}", {"authorization": authorization}, "/webhooks/x/")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("provider", [postmark(), brevo()])
@pytest.mark.parametrize(
    "authorization",
    [
        basic("comms", "old-secret"),
        basic("", "new-secret"),
        "Bearer new-secret",
        "bearer old-secret",
    ],
)
def test_each_of_two_secrets_is_taken(provider, authorization):
    provider.verify(called(authorization))
    assert provider.receipts_need == ""


@pytest.mark.parametrize("provider", [postmark(), brevo()])
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        basic("old-secret", ""),
        basic("comms", "old-secret "),
        basic("comms", SECRETS),
        basic("comms", "ü"),
        "Bearer ",
        "Bearer old-secre",
        "Digest old-secret",
        "old-secret",
    ],
)
def test_nothing_else_is(provider, authorization):
    with pytest.raises(BadSignature):
        provider.verify(called(authorization))


@pytest.mark.parametrize("authorization", ["", basic("x", ""), "Bearer ", basic("x", "old-secret")])
@pytest.mark.parametrize("secrets", ["", " , "])
def test_without_a_secret_nothing_is(authorization, secrets):
    for provider in (postmark(secrets), brevo(secrets)):
        with pytest.raises(BadSignature):
            provider.verify(called(authorization))
    assert postmark("").receipts_need == "POSTMARK_WEBHOOK_SECRET"
    assert brevo("").receipts_need == "BREVO_WEBHOOK_SECRET"


def test_a_secret_in_the_query_is_not_looked_at():
    with pytest.raises(BadSignature):
        brevo().verify(Webhook(b"{}", {}, "/webhooks/brevo/?key=old-secret"))


# HMAC over a timestamp and a token: Mailgun


def signed(key: str = "old-secret", age: float = 0, **changes: Any) -> Webhook:
    stamp, token = str(int(time.time() - age)), "a" * 50
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    block = {"timestamp": stamp, "token": token, "signature": signature, **changes}
    return Webhook(json.dumps({"signature": block, "event-data": {}}).encode(), {})


@pytest.mark.parametrize("key", ["old-secret", "new-secret"])
@pytest.mark.parametrize("age", [-280, 0, 280, 8 * 3600])
def test_mailguns_signature(key, age):
    mailgun().verify(signed(key, age))
    assert mailgun().receipts_need == ""


@pytest.mark.parametrize(
    "webhook",
    [
        signed("another"),
        signed(age=-4000),
        signed(age=MAX_AGE + 60),
        signed(token="b" * 50),
        signed(timestamp="1529006854"),
        signed(timestamp="x"),
        signed(timestamp="1" * 20),
        signed(timestamp=None),
        signed(signature=""),
        signed(signature="ü"),
        signed(signature=None),
        Webhook(b"{}", {}),
        Webhook(b'{"signature": []}', {}),
        Webhook(b'{"a":' * 50_000, {}),
        signed(token="\ud800"),
        signed(signature="\ud800"),
        Webhook(b"", {}),
        Webhook(b"timestamp=1&token=2", {}),
        Webhook(b"--x\r\n", {}),
    ],
)
def test_what_mailgun_did_not_sign(webhook):
    with pytest.raises(BadSignature):
        mailgun().verify(webhook)


def test_each_flipped_bit_of_mailguns_signature_counts():
    good = json.loads(signed().body)["signature"]["signature"]
    for flipped in flips(bytes.fromhex(good)):
        with pytest.raises(BadSignature):
            mailgun().verify(signed(signature=flipped.hex()))


def test_without_a_key_mailgun_signs_nothing():
    with pytest.raises(BadSignature):
        mailgun("").verify(signed(""))
    assert mailgun("").receipts_need == "MAILGUN_WEBHOOK_SIGNING_KEY"


# Svix: Resend. The vector is in the libraries of Svix.

SVIX_KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SVIX_BODY = b'{"test": 2432232314}'
SVIX = {
    "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "svix-timestamp": "1614265330",
    "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER_KEY = "whsec_" + base64.b64encode(b"x" * 24).decode()


@pytest.fixture
def then():
    with time_machine.travel(datetime.fromtimestamp(1614265335, UTC), tick=False):
        yield


@pytest.mark.usefixtures("then")
class TestSvix:
    @pytest.mark.parametrize(
        "keys", [SVIX_KEY, f"whsec_{SVIX_KEY}", f"{OTHER_KEY}, whsec_{SVIX_KEY}"]
    )
    def test_the_published_vector_verifies(self, keys):
        resend(keys).verify(Webhook(SVIX_BODY, SVIX))
        assert resend(keys).receipts_need == ""

    def test_one_of_several_signatures_does(self):
        both = f"v1,{'A' * 43}= {SVIX['svix-signature']}"
        resend(SVIX_KEY).verify(Webhook(SVIX_BODY, {**SVIX, "svix-signature": both}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"svix-id": "msg_other"},
            {"svix-timestamp": "1614265331"},
            {"svix-timestamp": ""},
            {"svix-timestamp": "x"},
            {"svix-signature": ""},
            {"svix-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
            {"svix-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
            {"svix-signature": "v1,ü"},
        ],
    )
    def test_anything_else_does_not(self, changes):
        with pytest.raises(BadSignature):
            resend(SVIX_KEY).verify(Webhook(SVIX_BODY, {**SVIX, **changes}))

    @pytest.mark.parametrize("keys", ["", OTHER_KEY])
    def test_with_another_key_or_none(self, keys):
        with pytest.raises(BadSignature):
            resend(keys).verify(Webhook(SVIX_BODY, SVIX))

    def test_each_flipped_bit_counts(self):
        provider = resend(SVIX_KEY)
        signature = base64.b64decode(SVIX["svix-signature"].removeprefix("v1,"))
        for flipped in flips(signature):
            text = "v1," + base64.b64encode(flipped).decode()
            with pytest.raises(BadSignature):
                provider.verify(Webhook(SVIX_BODY, {**SVIX, "svix-signature": text}))
        for body in flips(SVIX_BODY):
            with pytest.raises(BadSignature):
                provider.verify(Webhook(body, SVIX))

    def test_a_secret_that_is_none_keeps_the_events_for_later(self):
        with pytest.raises(CannotVerify):
            resend("whsec_%%%").verify(Webhook(SVIX_BODY, SVIX))


@pytest.mark.parametrize("age", [-310, 310])
def test_a_stale_svix_signature_is_refused(age):
    with (
        time_machine.travel(datetime.fromtimestamp(1614265330 + age, UTC), tick=False),
        pytest.raises(BadSignature),
    ):
        resend(SVIX_KEY).verify(Webhook(SVIX_BODY, SVIX))


def test_resend_says_what_it_needs():
    assert resend("").receipts_need == "RESEND_WEBHOOK_SECRET"
