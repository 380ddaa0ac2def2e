"""The queue's figures, with exact numbers from constructed rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import floor, new_id
from commsproject.common.models import ApiClient
from notifications import jobs
from notifications.models import Attempt, DeadLetter, QueueSample, Work
from notifications.services import metrics
from notifications.services.metrics import Figures
from notifications.types import Lane
from tests.engine import drain
from tests.factories import (
    ApiClientFactory,
    AttemptFactory,
    DeliveryFactory,
    NotificationFactory,
    WorkFactory,
)

MINUTE = timedelta(minutes=1)


def work(lane: Lane, size: int, *, due: timedelta = -MINUTE, **fields: Any) -> Work:
    """`size` deliveries of one chunk; due a minute ago unless told."""
    ids = [new_id() for _ in range(size)]
    return WorkFactory.create(lane=lane, ids=ids, due_at=timezone.now() + due, **fields)


def id_of(moment: datetime) -> UUID:
    """A key made at `moment`."""
    return UUID(int=floor(moment).int | (new_id().int & ((1 << 80) - 1)))


def calls(agent: ApiClient, lane: Lane, *states: str, number: int = 1, age: float = 0.0) -> None:
    """One chunk of `agent` in `lane` whose calls began `age` seconds ago and ended in `states`."""
    chunk = new_id()
    for state in states:
        notification = NotificationFactory(client=agent, priority=lane)
        AttemptFactory(
            id=id_of(timezone.now() - timedelta(seconds=age)),
            delivery=DeliveryFactory(notification=notification),
            work_id=chunk,
            state=state,
            number=number,
        )


def give_up(agent: ApiClient, lane: Lane, *, age: float = 0.0) -> None:
    notification = NotificationFactory(client=agent, priority=lane)
    delivery = DeliveryFactory.create(notification=notification, state="dead")
    moment = id_of(timezone.now() - timedelta(seconds=age))
    DeadLetter.objects.create(id=moment, delivery=delivery, reason="x")


@pytest.fixture
def other(db: None) -> ApiClient:
    return ApiClientFactory.create(name="shop")


@pytest.fixture
def queue(agent: ApiClient, other: ApiClient) -> None:
    """Of every way to wait something, of two agents."""
    leased = timezone.now() + MINUTE
    work(Lane.NORMAL, 5, client=agent)
    work(Lane.NORMAL, 2, client=agent, due=-3 * MINUTE)
    work(Lane.NORMAL, 7, client=agent, lease_until=leased)
    work(Lane.NORMAL, 11, client=agent, due=MINUTE)
    limited = timezone.now() - 2 * MINUTE
    work(Lane.NORMAL, 4, client=agent, due=MINUTE, throttled_since=limited)
    work(Lane.NORMAL, 3, client=agent, due=MINUTE, throttled_since=limited + MINUTE)
    work(Lane.NORMAL, 13, client=agent, held=True)
    work(Lane.NORMAL, 17, client=agent, held=True, lease_until=leased)
    work(Lane.NORMAL, 1, client=agent, suspect=True, lease_until=timezone.now() - MINUTE)
    work(Lane.NORMAL, 100, client=other, due=-5 * MINUTE)
    work(Lane.BULK, 500, client=other)
    calls(agent, Lane.NORMAL, "accepted", "accepted", "failed", "unknown", "calling")
    calls(agent, Lane.NORMAL, "accepted", "throttled", number=2)
    calls(agent, Lane.NORMAL, *["accepted"] * 3, age=61)
    calls(other, Lane.NORMAL, "rejected")
    calls(other, Lane.BULK, *["accepted"] * 4, number=3, age=40)
    give_up(agent, Lane.NORMAL, age=40)
    give_up(agent, Lane.NORMAL, age=61)
    give_up(other, Lane.BULK)


MINE = Figures(
    due=8,
    in_flight=24,
    throttled=7,
    later=11,
    held=13,
    suspects=1,
    oldest_seconds=180,
    throttled_seconds=120,
    sent=3,
    retried=2,
    dead=1,
)
THEIRS = Figures(due=100, oldest_seconds=300)
BULK = Figures(due=500, oldest_seconds=60, sent=4, retried=4, dead=1)


def rounded(figures: Figures) -> Figures:
    """To the minute: the test itself takes its time."""
    ages = ("oldest_seconds", "throttled_seconds")
    return Figures(**vars(figures) | {age: getattr(figures, age) // 60 * 60 for age in ages})


# --- Figures ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("queue")
def test_what_waits_and_what_was_done_is_counted_by_lane_and_agent(agent, other):
    found = {share: rounded(figures) for share, figures in metrics.shares().items()}
    assert found == {
        (Lane.NORMAL, agent.id): MINE,
        (Lane.NORMAL, other.id): THEIRS,
        (Lane.BULK, other.id): BULK,
    }


@pytest.mark.usefixtures("queue")
def test_lanes_add_up_and_an_empty_one_is_there(agent):
    found = metrics.by_lane(metrics.shares())
    assert list(found) == list(Lane)
    assert found[Lane.URGENT] == Figures()
    assert rounded(found[Lane.NORMAL]) == Figures(
        due=108,
        in_flight=24,
        throttled=7,
        later=11,
        held=13,
        suspects=1,
        oldest_seconds=300,
        throttled_seconds=120,
        sent=3,
        retried=2,
        dead=1,
    )
    own = metrics.by_lane(metrics.shares(), agent=agent.id)
    assert rounded(own[Lane.NORMAL]) == MINE
    assert own[Lane.BULK] == Figures()


@pytest.mark.usefixtures("queue")
def test_agents_add_up_over_lanes(agent, other):
    found = metrics.by_agent(metrics.shares())
    assert rounded(found[agent.id]) == MINE
    assert rounded(found[other.id]) == rounded(THEIRS + BULK)
    assert found[other.id].due == 600


def test_an_empty_queue_has_no_shares(db):
    assert metrics.shares() == {}
    assert set(metrics.by_lane({}).values()) == {Figures()}


def test_a_lease_that_ran_out_waits_again(agent):
    work(Lane.URGENT, 3, client=agent, lease_until=timezone.now() - timedelta(seconds=1))
    found = metrics.depths()[Lane.URGENT, agent.id]
    assert (found.due, found.in_flight) == (3, 0)


@pytest.mark.usefixtures("queue")
def test_calls_are_counted_by_provider_and_outcome():
    assert metrics.calls() == {
        ("simulator", Attempt.State.ACCEPTED): 7,
        ("simulator", Attempt.State.FAILED): 1,
        ("simulator", Attempt.State.UNKNOWN): 1,
        ("simulator", Attempt.State.CALLING): 1,
        ("simulator", Attempt.State.THROTTLED): 1,
        ("simulator", Attempt.State.REJECTED): 1,
    }


def test_the_figures_cost_three_queries(agent, django_assert_num_queries):
    for lane in Lane:
        work(lane, 2, client=agent)
        calls(agent, lane, "accepted")
    with django_assert_num_queries(3):
        metrics.shares()


# --- Samples ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("queue")
def test_each_minute_writes_how_every_lane_stands():
    jobs.sample_queues()
    rows = {row.lane: row for row in QueueSample.objects.all()}
    assert set(rows) == set(Lane.values)
    bulk = rows["bulk"]
    assert (bulk.due, bulk.sent, bulk.retried, bulk.dead) == (500, 4, 4, 1)
    assert bulk.oldest_seconds // 60 == 1
    normal = rows["normal"]
    assert (normal.due, normal.in_flight, normal.later, normal.held) == (108, 24, 11, 13)
    assert rows["urgent"].due == 0
    assert len({row.at for row in rows.values()}) == 1


def sampled(lane: Lane, age: timedelta, **figures: int) -> QueueSample:
    return QueueSample.objects.create(lane=lane, at=timezone.now() - age, **figures)


def test_samples_are_kept_for_a_fortnight(db):
    sampled(Lane.BULK, metrics.KEEP_SAMPLES + MINUTE)
    kept = sampled(Lane.BULK, metrics.KEEP_SAMPLES - MINUTE)
    metrics.sample()
    assert QueueSample.objects.count() == 4
    assert QueueSample.objects.filter(id=kept.id).exists()


def test_samples_of_a_span_come_oldest_first(db):
    new = sampled(Lane.BULK, MINUTE)
    old = sampled(Lane.URGENT, 59 * MINUTE)
    sampled(Lane.BULK, 61 * MINUTE)
    assert list(metrics.samples(60 * MINUTE)) == [old, new]


# --- API -------------------------------------------------------------------------------------


def lane_of(lanes: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [lane for lane in lanes if lane["lane"] == name]
    return found


def client_with(agent: ApiClient, *scopes: Scope) -> APIClient:
    _, secret = keys.issue(agent, list(scopes))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.mark.usefixtures("queue")
def test_an_agent_sees_its_own_share_and_nothing_of_others(agent):
    answer = client_with(agent, Scope.NOTIFICATIONS_READ).get("/api/v1/queues")
    assert answer.status_code == 200
    body = answer.json()
    assert body["service"] is None
    assert [lane["lane"] for lane in body["lanes"]] == ["urgent", "normal", "bulk"]
    normal = lane_of(body["lanes"], "normal")
    assert 180 <= normal.pop("oldest_seconds") < 240
    assert 120 <= normal.pop("throttled_seconds") < 180
    assert normal == {
        "lane": "normal",
        "depth": 8,
        "in_flight": 24,
        "throttled": 7,
        "later": 11,
        "held": 13,
        "suspects": 1,
        "last_minute": {"sent": 3, "retried": 2, "dead": 1},
    }
    assert lane_of(body["lanes"], "bulk")["depth"] == 0


@pytest.mark.usefixtures("queue")
def test_a_key_that_sees_providers_sees_the_whole_service(agent):
    sampled(Lane.BULK, 2 * MINUTE, due=900, sent=50)
    sampled(Lane.BULK, MINUTE, due=700, sent=60, dead=1)
    sampled(Lane.BULK, 61 * MINUTE)
    caller = client_with(agent, Scope.NOTIFICATIONS_READ, Scope.PROVIDERS_READ)
    body = caller.get("/api/v1/queues").json()
    assert lane_of(body["lanes"], "normal")["depth"] == 8
    assert lane_of(body["service"]["lanes"], "normal")["depth"] == 108
    bulk = lane_of(body["service"]["lanes"], "bulk")
    assert (bulk["depth"], bulk["last_minute"]) == (500, {"sent": 4, "retried": 4, "dead": 1})
    first, second = bulk["samples"]
    assert (first["depth"], second["depth"]) == (900, 700)
    assert second["last_minute"] == {"sent": 60, "retried": 0, "dead": 1}
    assert first["at"] < second["at"]
    busiest = body["service"]["agents"]
    assert [(one["name"], one["depth"]) for one in busiest] == [("shop", 600), ("billing", 8)]


def test_a_message_moves_from_waiting_to_sent(api):
    body = {"content": {"subject": "Hi", "text": "Hi"}, "priority": "urgent"}
    for name in ("delivered", "bounce"):
        to = {"email": f"{name}@simulator.test"}
        assert api.post("/api/v1/notifications", {**body, "to": to}, format="json").data["id"]
    before = lane_of(api.get("/api/v1/queues").json()["lanes"], "urgent")
    assert (before["depth"], before["last_minute"]["sent"]) == (2, 0)
    drain(Lane.URGENT)
    again = lane_of(api.get("/api/v1/queues").json()["lanes"], "urgent")
    assert (again["depth"], again["last_minute"]["sent"]) == (0, 0)  # counted a moment ago
    metrics._kept = None
    after = lane_of(api.get("/api/v1/queues").json()["lanes"], "urgent")
    assert (after["depth"], after["last_minute"]["sent"]) == (0, 2)


def test_only_so_many_agents_are_named(agent):
    for _ in range(25):
        work(Lane.BULK, 1, client=ApiClientFactory())
    work(Lane.BULK, 2, client=agent)
    caller = client_with(agent, Scope.NOTIFICATIONS_READ, Scope.PROVIDERS_READ)
    named = caller.get("/api/v1/queues").json()["service"]["agents"]
    assert len(named) == 20
    assert named[0]["name"] == agent.name


def test_a_key_without_the_scope_is_refused(agent):
    answer = client_with(agent, Scope.PROVIDERS_READ).get("/api/v1/queues")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert APIClient().get("/api/v1/queues").status_code == 401
    assert client_with(agent, Scope.NOTIFICATIONS_READ).post("/api/v1/queues").status_code == 405


# --- Staff page ------------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def at_noon() -> Iterator[datetime]:
    """PostgreSQL's clock goes on: for what Python counts only."""
    noon = datetime(2026, 11, 22, 12, 0, 30, tzinfo=timezone.get_current_timezone())
    with time_machine.travel(noon, tick=False):
        yield noon


PAGE = "admin:notifications_work_changelist"


def cards(staff: Client) -> dict[str, Any]:
    return {card.lane.value: card for card in staff.get(reverse(PAGE)).context["cards"]}


@pytest.mark.usefixtures("queue")
def test_the_page_of_the_queue_begins_with_its_lanes(staff):
    sampled(Lane.NORMAL, timedelta(seconds=30), due=90, sent=1200, retried=7, dead=2)
    answer = staff.get(reverse(PAGE))
    shown = answer.content.decode()
    assert "<strong>108</strong>" in shown
    assert "Oldest waits 5 min" in shown
    assert "Nothing waits" in shown
    assert "Last minute: 1,200 sent, 7 retried, 2 given up." in shown
    assert shown.count("No sample of the last two minutes") == 2
    assert "style=" not in shown[shown.index("comms-lanes") : shown.rindex("</figure>")]


def test_a_chart_has_a_bar_for_each_minute_and_gaps_stay_gaps(at_noon, staff):
    for age, due in ((0, 40), (1, 10), (3, 20), (59, 0)):
        sampled(Lane.BULK, age * MINUTE, due=due)
    sampled(Lane.URGENT, 10 * MINUTE, due=3, sent=5)
    due, sent = cards(staff)["bulk"].charts
    assert [(bar.x, bar.value) for bar in due.bars] == [(0, 0), (56, 20), (58, 10), (59, 40)]
    assert [(bar.y, bar.height) for bar in due.bars] == [
        ("24.00", "0.00"),
        ("12.00", "12.00"),
        ("18.00", "6.00"),
        ("0.00", "24.00"),
    ]
    assert (due.peak, sent.peak) == (40, 0)
    assert {bar.height for bar in sent.bars} == {"0.00"}
    urgent = cards(staff)["urgent"]
    assert urgent.last is None
    assert [chart.peak for chart in urgent.charts] == [3, 5]


def test_waiting_too_long_is_said_in_red(staff, agent):
    work(Lane.URGENT, 1, client=agent, due=timedelta(seconds=-30))
    work(Lane.NORMAL, 1, client=agent, due=timedelta(seconds=-30))
    found = cards(staff)
    assert "comms-badge-bad" in found["urgent"].waiting
    assert "comms-badge-quiet" in found["normal"].waiting


def test_the_page_is_for_those_who_may_see_the_queue(client, db):
    client.force_login(User.objects.create_user("new", password="x", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


@pytest.mark.usefixtures("queue")
def test_the_rows_say_what_they_are(staff):
    shown = staff.get(reverse(PAGE)).content.decode()
    for word in ("Being sent", "Held", "Suspect", "Throttled", "Later", ">Due<"):
        assert word in shown, word
