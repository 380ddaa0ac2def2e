"""The simulator's part of the provider contract. It keeps messages in the database and has no wire
towards it; its webhooks are on the wire, signed, like those of any other provider.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.jobs import simulator_receipts
from notifications.models import SimulatedMessage
from notifications.providers import simulator
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.simulator import SIGNATURE, TIMESTAMP, Simulator, post_receipts
from notifications.types import Channel, ErrorClass, EventType, Outbound, ProviderError
from tests.fakes.behaviours import Reset, Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request, Response

pytestmark = pytest.mark.django_db

SECRET = "swordfish"


class Endpoint(FakeHttpServer):
    """Where the simulator's webhooks go."""

    @override
    def respond(self, request: Request) -> Response:
        return Response(200)


@pytest.fixture
def endpoint(settings: Any) -> Iterator[Endpoint]:
    with Endpoint() as server:
        settings.PUBLIC_URL = server.url
        yield server


@pytest.fixture
def provider(settings: Any) -> Simulator:
    settings.PROVIDER_READ_TIMEOUT = 0.05
    return Simulator("simulator")


def outbound(to: str = "ada@simulator.test", **fields: Any) -> Outbound:
    return Outbound(
        attempt_id=new_id(),
        delivery_id=new_id(),
        notification_id=new_id(),
        channel=Channel.EMAIL,
        to=to,
        parts={"subject": "Grüße ✓", "text": SECRET, "html": f"<p>{SECRET}</p>"},
        **fields,
    )


def make_receipts_due() -> None:
    SimulatedMessage.objects.exclude(receipts=[]).update(receipts_due_at=timezone.now())


def posted(endpoint: Endpoint) -> list[Webhook]:
    return [
        Webhook(request.body, {name.lower(): value for name, value in request.headers.items()})
        for request in endpoint.ledger.all()
    ]


def test_a_rich_message_is_kept_whole(provider: Simulator) -> None:
    message = outbound(
        agent_id="agent-7",
        template_id="welcome",
        reply_to="shop@example.org",
        headers={"List-Unsubscribe": "<https://example.org/u/x>"},
        metadata={"order": "77"},
    )
    sent = provider.send(message)

    kept = SimulatedMessage.objects.get()
    assert sent.ref == kept.id.hex
    assert sent.http_status == 202
    assert kept.parts == dict(message.parts)
    assert kept.headers == {**message.headers, "Reply-To": "shop@example.org"}
    assert kept.metadata == {
        "message_id": str(message.notification_id),
        "agent_id": "agent-7",
        "template_id": "welcome",
        "order": "77",
    }


def test_it_carries_every_channel_with_somebody_at_its_end(provider: Simulator) -> None:
    assert provider.channels == set(Channel) - {Channel.INAPP}


@pytest.mark.parametrize(
    ("to", "error_class", "code"),
    [
        ("fail@simulator.test", ErrorClass.PERMANENT_RECIPIENT, "550"),
        ("fail+1@simulator.test", ErrorClass.PERMANENT_RECIPIENT, "550"),
        ("throttle@simulator.test", ErrorClass.THROTTLED, "429"),
        ("hang@simulator.test", ErrorClass.AMBIGUOUS, "read_timeout"),
    ],
)
def test_it_refuses_as_it_is_told(
    provider: Simulator, to: str, error_class: ErrorClass, code: str
) -> None:
    with pytest.raises(ProviderError) as refusal:
        provider.send(outbound(to))
    assert (refusal.value.error_class, refusal.value.code) == (error_class, code)
    assert not SimulatedMessage.objects.exists()


def test_a_throttle_is_over_on_the_second_attempt(provider: Simulator) -> None:
    provider.send(outbound("throttle@simulator.test", number=2))
    assert SimulatedMessage.objects.exists()


@pytest.mark.parametrize("to", ["fail@example.org", "hang@notsimulator.test"])
def test_addresses_elsewhere_are_no_instructions(provider: Simulator, to: str) -> None:
    provider.send(outbound(to))
    assert SimulatedMessage.objects.get().receipts == ["delivered"]


@pytest.mark.parametrize(
    ("to", "reported"),
    [
        ("ada@simulator.test", [EventType.DELIVERED]),
        ("bounce@simulator.test", [EventType.BOUNCED]),
        ("complaint@simulator.test", [EventType.DELIVERED, EventType.COMPLAINED]),
    ],
)
def test_it_reports_by_signed_webhooks(
    provider: Simulator, endpoint: Endpoint, to: str, reported: list[EventType]
) -> None:
    message = outbound(to)
    provider.send(message)
    make_receipts_due()
    assert post_receipts() == 1
    assert post_receipts() == 0

    (webhook,) = posted(endpoint)
    provider.verify(webhook)
    events = provider.parse(webhook)
    assert [event.type for event in events] == reported
    assert {event.attempt_id for event in events} == {message.attempt_id}
    assert all(event.permanent == (event.type is EventType.BOUNCED) for event in events)
    assert SECRET.encode() not in webhook.body
    assert to.encode() not in webhook.body


@pytest.mark.django_db(transaction=True)
def test_many_messages_leave_one_round_behind_and_all_are_reported(
    provider: Simulator, endpoint: Endpoint
) -> None:
    """A round each was a queue of a hundred thousand, and the worker's memory with it."""
    for _ in range(60):
        provider.send(outbound())
        assert provider._postman._work_queue.qsize() <= 1
    waiting = SimulatedMessage.objects.exclude(receipts=[])
    end = time.monotonic() + 30
    while waiting.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not waiting.exists()
    told = [event for webhook in posted(endpoint) for event in provider.parse(webhook)]
    assert len({event.attempt_id for event in told}) == len(told) == 60


@pytest.mark.parametrize("trouble", [Status(503), Reset()], ids=["503", "reset"])
def test_what_is_not_taken_is_posted_again_with_the_same_event_ids(
    provider: Simulator, endpoint: Endpoint, trouble: Any
) -> None:
    endpoint.script.next(trouble)
    provider.send(outbound())
    make_receipts_due()
    post_receipts()
    make_receipts_due()
    post_receipts()

    first, second = (json.loads(webhook.body)["events"][0]["id"] for webhook in posted(endpoint))
    assert first == second
    assert SimulatedMessage.objects.get().receipts_due_at is None


def test_an_endpoint_that_hangs_does_not_hold_the_scheduler(
    provider: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.send(outbound())
    make_receipts_due()
    calls = 0
    with time_machine.travel(timezone.now() + timedelta(seconds=1), tick=False) as clock:

        def hang(*_: object, **__: object) -> bool:
            nonlocal calls
            calls += 1
            assert calls < 5
            clock.shift(simulator.POST_TIMEOUT)
            return False

        monkeypatch.setattr(simulator, "_post", hang)
        simulator_receipts()
        assert calls == 1
        assert post_receipts() == 0
        clock.shift(simulator.POST_TIMEOUT)
        assert post_receipts() == 1


@pytest.fixture
def webhook(provider: Simulator, endpoint: Endpoint) -> Webhook:
    provider.send(outbound())
    make_receipts_due()
    post_receipts()
    (webhook,) = posted(endpoint)
    return webhook


def test_a_flipped_bit_is_a_forgery(provider: Simulator, webhook: Webhook) -> None:
    for position in range(0, len(webhook.body), 7):
        body = bytearray(webhook.body)
        body[position] ^= 1
        with pytest.raises(BadSignature):
            provider.verify(Webhook(bytes(body), webhook.headers))
    for name in (SIGNATURE, TIMESTAMP):
        without = {key: value for key, value in webhook.headers.items() if key != name}
        with pytest.raises(BadSignature):
            provider.verify(Webhook(webhook.body, without))
        with pytest.raises(BadSignature):
            provider.verify(Webhook(webhook.body, {**webhook.headers, name: "1" * 64}))


@pytest.mark.parametrize("later", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_a_webhook_of_another_time_is_refused(
    provider: Simulator, webhook: Webhook, later: timedelta
) -> None:
    with (
        time_machine.travel(timezone.now() + later, tick=False),
        pytest.raises(BadSignature, match="too old"),
    ):
        provider.verify(webhook)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": [{}]}', b"\xff"])
def test_a_body_that_is_none_of_its_own_is_a_value_error(provider: Simulator, body: bytes) -> None:
    with pytest.raises(ValueError):
        provider.parse(Webhook(body, {}))


def test_nothing_of_a_message_shows(provider: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    message = outbound("fail@simulator.test")
    with pytest.raises(ProviderError) as refusal:
        provider.send(message)
    shown = f"{provider!r} {message!r} {refusal.value!r} {refusal.value.detail} {caplog.text}"
    assert SECRET not in shown
    assert "fail@" not in shown


def test_plain_django_mail_is_kept_too(provider: Simulator) -> None:
    mail = EmailMessage(
        "Grüße", "Hello", "shop@example.org", ["a@example.org"], bcc=["b@example.org"]
    )
    provider.deliver(mail)
    assert set(SimulatedMessage.objects.values_list("address", flat=True)) == {
        "a@example.org",
        "b@example.org",
    }
    assert not SimulatedMessage.objects.filter(receipts_due_at__isnull=False).exists()
    with pytest.raises(ProviderError):
        provider.deliver(EmailMessage("s", "b", None, ["fail@simulator.test"]))


def test_the_module_says_what_it_obeys() -> None:
    assert simulator.__doc__ is not None
    for instruction in ("bounce@", "complaint@", "fail@", "throttle@", "hang@"):
        assert f"`{instruction}`" in simulator.__doc__
