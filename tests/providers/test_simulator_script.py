"""What the simulators do wrong when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone

from commsproject.common.ids import new_id
from notifications.models import SimulatedMessage, SimulatorRule
from notifications.providers import simulator_script
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.simulator import SecondSimulator, Simulator, post_receipts
from notifications.providers.simulator_script import Call, fitting
from notifications.types import Channel, ErrorClass, EventType, Outbound, ProviderError
from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request
from tests.providers.test_simulator import Endpoint

pytestmark = pytest.mark.django_db

Answer, Receipts = SimulatorRule.Answer, SimulatorRule.Receipts


@pytest.fixture
def endpoint(settings: Any) -> Iterator[Endpoint]:
    with Endpoint() as server:
        settings.PUBLIC_URL = server.url
        yield server


@pytest.fixture
def provider(settings: Any) -> Iterator[Simulator]:
    settings.PROVIDER_READ_TIMEOUT = 0.05
    provider = Simulator("simulator")
    yield provider
    provider._never.set()
    provider._postman.shutdown(cancel_futures=True)


def rule(**fields: Any) -> SimulatorRule:
    return SimulatorRule.objects.create(**fields)


def outbound(to: str = "ada@example.org", channel: Channel = Channel.EMAIL) -> Outbound:
    return Outbound(
        attempt_id=new_id(),
        delivery_id=new_id(),
        notification_id=new_id(),
        channel=channel,
        to=to,
        parts={"subject": "Hello", "text": "It works."},
    )


def error_of(provider: Simulator, message: Outbound | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as refusal:
        provider.send(message or outbound())
    return refusal.value


@pytest.mark.parametrize(
    ("fields", "error_class", "code", "taken"),
    [
        ({"answer": "throttle"}, ErrorClass.THROTTLED, "429", False),
        ({"answer": "error"}, ErrorClass.TEMPORARY, "503", False),
        ({"answer": "error", "status": 500}, ErrorClass.AMBIGUOUS, "500", False),
        ({"answer": "hang"}, ErrorClass.AMBIGUOUS, "read_timeout", False),
        ({"answer": "reset"}, ErrorClass.AMBIGUOUS, "connection_lost", False),
        ({"answer": "refuse"}, ErrorClass.PERMANENT_RECIPIENT, "550", False),
        ({"answer": "accept_then_error"}, ErrorClass.AMBIGUOUS, "500", True),
        ({"latency": 1.0}, ErrorClass.AMBIGUOUS, "read_timeout", True),
    ],
    ids=lambda value: str(value),
)
def test_each_answer_is_that_of_a_real_provider(
    provider: Simulator, fields: dict[str, Any], error_class: ErrorClass, code: str, taken: bool
) -> None:
    rule(**fields)
    error = error_of(provider)
    assert (error.error_class, error.code) == (error_class, code)
    assert SimulatedMessage.objects.exists() == taken
    assert SimulatorRule.objects.get().met == 1


def test_every_answer_is_tested() -> None:
    (mark,) = test_each_answer_is_that_of_a_real_provider.pytestmark
    tested = {fields.get("answer", "accept") for fields, *_ in mark.args[1]}
    assert tested == set(Answer.values)


def test_a_throttle_says_how_long(provider: Simulator) -> None:
    rule(answer="throttle", retry_after=7.5)
    assert error_of(provider).retry_after == 7.5


def test_a_slow_answer_within_the_time_limit_is_one(provider: Simulator) -> None:
    rule(latency=0.001)
    assert provider.send(outbound()).http_status == 202


def test_it_is_over_after_so_many_messages(provider: Simulator) -> None:
    rule(answer="error", messages=2)
    for _ in range(2):
        error_of(provider)
    for _ in range(3):
        provider.send(outbound())
    assert SimulatorRule.objects.get().met == 2


def test_it_is_over_after_its_time(provider: Simulator) -> None:
    made = rule(answer="error", until=timezone.now() + timedelta(minutes=1))
    error_of(provider)
    made.until = timezone.now()
    made.save()
    provider.send(outbound())


def test_the_next_rule_counts_where_one_is_used_up(provider: Simulator) -> None:
    rule(answer="error", messages=1)
    rule(answer="refuse")
    assert [error_of(provider).code for _ in range(3)] == ["503", "550", "550"]


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"provider": "simulator"}, True),
        ({"provider": "simulator-b"}, False),
        ({"channel": "email"}, True),
        ({"channel": "sms"}, False),
        ({"address": "ada@example.org"}, True),
        ({"address": "ADA@EXAMPLE.org"}, True),
        ({"address": "*@example.org"}, True),
        ({"address": "*@example.com"}, False),
        ({"address": "bob@*"}, False),
        ({"address": "ada"}, False),
        ({"address": "a*" * 100}, False),
    ],
    ids=str,
)
def test_a_rule_is_about_some_messages(fields: dict[str, Any], fits: bool) -> None:
    call = Call("simulator", Channel.EMAIL, "Ada@example.org", new_id())
    assert bool(list(fitting([SimulatorRule(**fields)], call))) == fits


def test_a_brownout_meets_its_part_and_always_the_same() -> None:
    calls = [
        Call("simulator", Channel.SMS, "+4915112345678", UUID(int=number * 7919**9 % 2**128))
        for number in range(4000)
    ]
    for percent in (1, 30, 99, 100):
        rules = [SimulatorRule(percent=percent)]
        met = [bool(list(fitting(rules, call))) for call in calls]
        assert met == [bool(list(fitting(rules, call))) for call in calls]
        assert abs(sum(met) / len(met) - percent / 100) < 0.03


@pytest.mark.django_db(transaction=True)
def test_processes_together_meet_it_so_many_times() -> None:
    """Each thread has a connection of its own, as each process would."""
    from django.db import connection

    rule(answer="error", messages=10)
    met: list[SimulatorRule | None] = []

    def meet() -> None:
        try:
            for _ in range(10):
                call = Call("simulator", Channel.EMAIL, "a@example.org", new_id())
                met.append(simulator_script.meet(call))
        finally:
            connection.close()

    threads = [threading.Thread(target=meet) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in met) == 10 == SimulatorRule.objects.get().met


def test_plain_django_mail_meets_it_too(provider: Simulator) -> None:
    rule(answer="accept_then_error", address="bob@*")
    provider.deliver(EmailMessage("s", "b", None, ["ada@example.org"]))
    with pytest.raises(ProviderError):
        provider.deliver(EmailMessage("s", "b", None, ["bob@example.org"]))
    assert SimulatedMessage.objects.count() == 2


# --- Receipts --------------------------------------------------------------------------------


def posted(endpoint: FakeHttpServer) -> list[Webhook]:
    return [
        Webhook(request.body, {name.lower(): value for name, value in request.headers.items()})
        for request in endpoint.ledger.all()
    ]


def come(provider: Simulator, to: str = "ada@example.org") -> None:
    """One message, and the post of what is due by now."""
    provider.send(outbound(to))
    soon = timezone.now() + timedelta(milliseconds=60)
    SimulatedMessage.objects.filter(receipts_due_at__lt=soon).update(receipts_due_at=timezone.now())
    post_receipts()


def test_lost_receipts_never_come(provider: Simulator, endpoint: Endpoint) -> None:
    rule(receipts="lost")
    come(provider)
    assert not posted(endpoint)
    assert SimulatedMessage.objects.get().receipts_due_at is None


def test_late_receipts_come_late(provider: Simulator, endpoint: Endpoint) -> None:
    rule(receipts="late", receipts_after=600)
    come(provider)
    assert not posted(endpoint)
    due = SimulatedMessage.objects.get().receipts_due_at
    assert due is not None
    assert timedelta(seconds=590) < due - timezone.now() < timedelta(seconds=610)


def test_duplicated_receipts_come_twice_with_the_same_ids(
    provider: Simulator, endpoint: Endpoint
) -> None:
    rule(receipts="duplicated")
    come(provider)
    first, second = (provider.parse(webhook) for webhook in posted(endpoint))
    assert [event.dedupe for event in first] == [event.dedupe for event in second]
    assert posted(endpoint)[0].body != posted(endpoint)[1].body  # not only the same bytes again


def test_reordered_receipts_begin_with_the_last(provider: Simulator, endpoint: Endpoint) -> None:
    rule(receipts="reordered")
    come(provider, "complaint@simulator.test")
    (webhook,) = posted(endpoint)
    events = [event.type for event in provider.parse(webhook)]
    assert events == [EventType.COMPLAINED, EventType.DELIVERED, EventType.SENT]


def test_forged_receipts_are_refused_and_not_repeated(
    provider: Simulator, endpoint: Endpoint, client: Client
) -> None:
    endpoint.script.always(Status(400))
    rule(receipts="forged")
    come(provider)
    (webhook,) = posted(endpoint)
    with pytest.raises(BadSignature):
        provider.verify(webhook)
    answer = client.post(
        "/webhooks/simulator/",
        webhook.body,
        content_type="application/json",
        headers={name: value for name, value in webhook.headers.items() if "simulator" in name},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    assert SimulatedMessage.objects.get().receipts_due_at is None


def test_each_simulator_has_a_webhook_of_its_own(provider: Simulator, endpoint: Endpoint) -> None:
    second = SecondSimulator("simulator-b")
    try:
        second.send(outbound())
        come(provider)
    finally:
        second._never.set()
        second._postman.shutdown(cancel_futures=True)
    SimulatedMessage.objects.exclude(receipts=[]).update(receipts_due_at=timezone.now())
    post_receipts()
    requests: list[Request] = endpoint.ledger.all()
    assert {request.path for request in requests} == {
        "/webhooks/simulator/",
        "/webhooks/simulator-b/",
    }


def test_every_kind_of_receipts_is_tested() -> None:
    tested = {name.split("_")[1] for name in globals() if "_receipts_" in name}
    assert set(Receipts.values) - {"normal"} <= tested
