"""What is counted of messages by the hour, and what can be asked of it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery
from notifications.services import cancel, status, submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel, EventType, ProviderEvent
from tests.engine import drain
from tests.factories import ApiClientFactory, CategoryFactory, TemplateVersionFactory
from tracking.api.analytics import FailedOutput, FiguresOutput
from tracking.models import Rollup, RollupDelta
from tracking.services import analytics, folding, histogram, rollups

pytestmark = pytest.mark.django_db


def mail(address: str, **fields: Any) -> Submission:
    content = {"subject": "Hello", "text": "It works."}
    return Submission(to=Target(addresses={Channel.EMAIL: address}), content=content, **fields)


def text(number: str) -> Submission:
    return Submission(to=Target(addresses={Channel.SMS: number}), content={"text": "Hello"})


def counts(grain: str = "total", **which: Any) -> dict[str, int]:
    """The sums of a grain, without those that are 0; of the histograms only how many they hold."""
    folding.fold()
    sums: dict[str, int] = {}
    for row in Rollup.objects.filter(grain=grain, **which):
        for name, place in rollups.PLACES.items():
            word = name.rstrip("0123456789")
            sums[word] = sums.get(word, 0) + row.counts[place]
        sums["cost"] = sums.get("cost", 0) + row.cost
    return {name: count for name, count in sums.items() if count}


def tell(delivery: Delivery, kind: EventType, **data: Any) -> None:
    attempt = Attempt.objects.get(delivery=delivery)
    dedupe = f"{attempt.id}-{kind}-{data}"
    at = timezone.now()
    status.apply(
        "simulator", [ProviderEvent(kind, at, dedupe, attempt.id, permanent=True, data=data)]
    )


def test_a_life_is_counted_once_at_each_station(agent: ApiClient) -> None:
    submit.accept(agent, [mail("ada@example.com"), mail("grace@example.com")])
    drain()
    assert counts() == {"accepted": 2, "calls": 2, "sent": 2, "handed": 2}
    first, second = Delivery.objects.order_by("id")
    for _ in range(2):
        tell(first, EventType.DELIVERED)
        tell(first, EventType.OPENED, machine=True)
        tell(first, EventType.OPENED)
        tell(first, EventType.OPENED, again=True)
        tell(first, EventType.CLICKED)
        tell(first, EventType.UNSUBSCRIBED)
        tell(second, EventType.BOUNCED)
    tell(first, EventType.COMPLAINED)
    assert counts() == {
        "accepted": 2,
        "calls": 2,
        "sent": 2,
        "handed": 2,
        "delivered": 1,
        "arrived": 1,
        "opened": 1,
        "opened_machine": 1,
        "clicked": 1,
        "opted_out": 1,
        "bounced": 1,
        "complained": 1,
    }
    assert not RollupDelta.objects.exists()
    assert counts(provider="simulator", client_id=None)["sent"] == 2


def test_the_order_of_reports_makes_no_difference(agent: ApiClient) -> None:
    """One by one or together, again and again, whatever the state is by then."""
    submit.accept(agent, [mail("ada@example.com")])
    drain()
    attempt = Attempt.objects.get()
    kinds = (EventType.DELIVERED, EventType.BOUNCED, EventType.COMPLAINED)
    reports = [ProviderEvent(kind, timezone.now(), kind, attempt.id) for kind in kinds]
    for order in permutations(reports):
        for batches in ([order], [[one] for one in (*order, *order)]):
            mark = transaction.savepoint()
            for batch in batches:
                status.apply("simulator", batch)
            found = counts()
            told = {name: found.get(name, 0) for name in (*kinds, "sent", "handed", "arrived")}
            assert set(told.values()) == {1}, (order, told)
            transaction.savepoint_rollback(mark)


def test_a_receipt_that_comes_after_the_number_was_erased_counts_too(agent: ApiClient) -> None:
    submit.accept(agent, [text("+33612345678")])
    drain()
    Delivery.objects.update(address="")
    tell(Delivery.objects.get(), EventType.DELIVERED)
    assert counts("country", country="")["delivered"] == 1


def test_each_way_to_end_has_its_count(agent: ApiClient) -> None:
    soon = timezone.now() + timedelta(hours=1)
    category = CategoryFactory.create(key="news")
    submissions = [
        mail("fail@simulator.test", category="news"),
        mail("late@example.com", expires_at=soon),
        mail("stop@example.com", send_at=timezone.now() + timedelta(days=1)),
        text("+14155550132"),
        text("+33612345678"),
    ]
    results = submit.accept(agent, submissions)
    assert all(isinstance(one, submit.Accepted) for one in results)
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(address="late@example.com").update(expires_at=past)
    stopped = Delivery.objects.get(address="stop@example.com")
    cancel.cancel(stopped.notification, cancel.BY_SENDER)
    drain()
    found = counts()
    assert found["accepted"] == 5
    assert (found["expired"], found["cancelled"]) == (1, 1)
    assert found["failed_permanent_recipient"] == found["calls_failed"] == 1
    assert found["sent"] == found["segments"] == 2
    assert counts("category", category_id=category.id)["accepted"] == 1
    assert counts("country", country="FR")["sent"] == 1
    assert counts("agent", client_id=agent.id) == found == counts("all")
    assert counts("batch") == {}


def test_a_message_on_time_is_told_from_one_that_waited(agent: ApiClient) -> None:
    submit.accept(agent, [mail("ada@example.com"), mail("late@example.com")])
    Delivery.objects.filter(address="late@example.com").update(
        created_at=timezone.now() - timedelta(seconds=90)
    )
    drain()
    folding.fold()
    (row,) = Rollup.objects.filter(grain="total", provider="simulator")
    first = rollups.PLACES["handed0"]
    handed = row.counts[first : first + histogram.SIZE]
    assert histogram.share_within(handed, 10) == 0.5
    assert handed[histogram.bucket(90)] == 1


def test_counts_of_one_hour_are_added_however_often_they_are_folded(agent: ApiClient) -> None:
    for _ in range(3):
        submit.accept(agent, [mail("ada@example.com")])
        folding.fold()
    (row,) = Rollup.objects.filter(grain="total")
    assert row.counts[rollups.PLACES["accepted"]] == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('hour', now())")
        assert row.hour == cursor.fetchone()[0]


def test_percentiles_are_read_from_the_histogram() -> None:
    even = [0] * histogram.SIZE
    even[histogram.bucket(1.5)] = 50
    even[histogram.bucket(8)] = 50
    assert histogram.percentile(even, 0.5) == 2
    assert histogram.percentile(even, 0.95) == pytest.approx(9.5)
    assert histogram.percentile([0] * histogram.SIZE, 0.5) is None
    assert histogram.bucket(10) < histogram.bucket(10.001)
    endless = [0] * (histogram.SIZE - 1) + [1]
    assert histogram.percentile(endless, 0.5) == histogram.BOUNDS[-1]


# --- What can be asked ---------------------------------------------------------------------------


def key_of(client: ApiClient, *scopes: str) -> APIClient:
    api = APIClient()
    _, raw = keys.issue(client, scopes)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    return api


@pytest.fixture
def other(agent: ApiClient) -> ApiClient:
    """Another agent; each has sent two mails, the other one of a template and a text message too."""
    other = ApiClientFactory.create(name="=other")
    TemplateVersionFactory.create(template__key="hello")
    for client in (agent, other):
        submit.accept(client, [mail("ada@example.com"), mail("fail@simulator.test")])
    to = Target(addresses={Channel.EMAIL: "ada@example.com"})
    submit.accept(
        other, [text("+33612345678"), Submission(to=to, template="hello", data={"name": "A"})]
    )
    drain()
    folding.fold()
    return other


def test_an_agent_sees_its_own_and_operators_all(agent: ApiClient, other: ApiClient) -> None:
    own = key_of(agent, "analytics:read")
    every = key_of(agent, "analytics:read", "providers:read")
    summary = "/api/v1/analytics/summary"
    assert own.get(summary).json()["accepted"] == 2
    assert every.get(summary).json()["accepted"] == 6
    assert every.get(summary, {"agent": "=other"}).json()["accepted"] == 4
    assert own.get(summary, {"agent": "=other"}).json()["errors"][0]["code"] == "not_allowed"
    assert key_of(agent, "notifications:read").get(summary).status_code == 403
    figures = every.get(summary).json()
    assert figures["failed"]["permanent_recipient"] == figures["failed"]["total"] == 2
    assert figures["handed"]["within_10s"] == 1.0
    assert figures["handed"]["count"] == figures["sent"] == 4
    assert figures.keys() == FiguresOutput().fields.keys()
    assert figures["failed"].keys() == FailedOutput().fields.keys()


def test_every_filter_and_every_way_to_tell_apart(agent: ApiClient, other: ApiClient) -> None:
    api = key_of(agent, "analytics:read", "providers:read")

    def accepted(**query: str) -> int:
        answer = api.get("/api/v1/analytics/summary", query)
        assert answer.status_code == 200, answer.json()
        return int(answer.json()["accepted"])

    def leaders(by: str, **query: str) -> dict[str, int]:
        answer = api.get("/api/v1/analytics/top", {"by": by, "order": "accepted", **query}).json()
        return {one["key"]: one["figures"]["accepted"] for one in answer["results"]}

    assert accepted(channel="sms") == accepted(country="FR") == accepted(template="hello") == 1
    assert accepted(template="hello", version="1", agent="=other", channel="email") == 1
    assert accepted(template="hello", country="FR") == accepted(provider="simulator") == 0
    assert leaders("channel") == {"email": 5, "sms": 1}
    assert leaders("agent") == {agent.name: 2, "=other": 4}
    assert leaders("template") == {"": 5, "hello": 1}
    assert leaders("version", template="hello") == {"1": 1}
    assert leaders("country") == {"FR": 1}
    assert leaders("category") == {"": 6}
    assert leaders("batch") == leaders("variant") == {}
    assert list(leaders("channel", limit="1")) == ["email"]
    answer = api.get("/api/v1/analytics/top", {"by": "provider"}).json()["results"]
    assert {one["key"]: one["figures"]["sent"] for one in answer} == {"simulator": 4}


def test_series_have_every_step_in_the_zone_asked_for(agent: ApiClient) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, tzinfo=berlin)
    for hours in (0, 23, 24, 49):  # the 25th has 25 hours there
        at = (start.astimezone(UTC) + timedelta(hours=hours)).replace(minute=0)
        counts = [0] * len(rollups.PLACES)
        counts[rollups.PLACES["sent"]] = 1
        Rollup.objects.create(hour=at, grain="total", channel="email", counts=counts)
    api = key_of(agent, "analytics:read", "providers:read")
    query = {
        "since": start.isoformat(),
        "until": "2026-10-28T00:00:00+01:00",
        "zone": "Europe/Berlin",
    }
    answer = api.get("/api/v1/analytics/series", query).json()
    assert [(one["at"], one["figures"]["sent"]) for one in answer["results"]] == [
        ("2026-10-24T00:00:00+02:00", 2),
        ("2026-10-25T00:00:00+02:00", 1),
        ("2026-10-26T00:00:00+01:00", 1),
        ("2026-10-27T00:00:00+01:00", 0),
    ]
    hours = api.get("/api/v1/analytics/series", {**query, "granularity": "hour"}).json()
    assert len(hours["results"]) == 97
    weeks = api.get("/api/v1/analytics/series", {**query, "granularity": "week"}).json()
    assert [one["figures"]["sent"] for one in weeks["results"]] == [3, 1]


def test_sums_over_days_are_those_of_their_hours(agent: ApiClient) -> None:
    start = datetime(2026, 10, 20, tzinfo=UTC)
    hours = [start + timedelta(hours=n) for n in range(100)]
    folding.add((at, rollups.Key("email", "x"), "sent", 1 + n) for n, at in enumerate(hours))
    utc = ZoneInfo("UTC")
    for since, until in ((0, 100), (1, 100), (5, 30), (5, 24), (24, 72), (23, 49), (3, 4)):
        wanted = analytics.Question(
            hours[0] + timedelta(hours=since), start + timedelta(hours=until), utc
        )
        expected = sum(range(since + 1, until + 1))
        assert analytics.summary(wanted)["sent"] == expected, (since, until)
        assert sum(map(sum, analytics.week(wanted))) == expected
        (leader,) = analytics.top(wanted, analytics.Dimension.PROVIDER, "sent", 5)
        assert leader.figures["sent"] == expected


def test_the_ends_of_the_calendar_are_refused_by_name(agent: ApiClient, client: Client) -> None:
    api = key_of(agent, "analytics:read")
    client.force_login(User.objects.create_superuser("root"))
    for year, field in (("0001", "since"), ("1980", ""), ("9999", "since")):
        asked = {"since": f"{year}-01-01T00:00Z", "until": f"{year}-02-01T00:00Z"}
        for zone in ("Pacific/Apia", "America/New_York"):
            query = {**asked, "zone": zone}
            for answer in (
                api.get("/api/v1/analytics/summary", query),
                api.get("/api/v1/analytics/series", query),
                api.get("/api/v1/analytics/top", {**query, "by": "provider"}),
                client.get("/admin/analytics/figures", query),
            ):
                assert answer.status_code == (400 if field else 200), answer.content
                errors = answer.json().get("errors", []) if field else []
                assert [one["field"] for one in errors] == [field] * bool(field)


def test_tables_for_spreadsheets_hold_no_formulas(agent: ApiClient, other: ApiClient) -> None:
    api = key_of(agent, "analytics:read", "providers:read")
    answer = api.get("/api/v1/analytics/top?by=agent&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert answer.headers["Content-Type"] == "text/csv"
    assert rows[0]["name"] == "'=other"
    assert (rows[0]["sent"], rows[0]["handed.within_10s"]) == ("3", "1.0")
    for path in ("summary", "series"):
        table = api.get(f"/api/v1/analytics/{path}", headers={"Accept": "text/csv"})
        assert "failed.permanent_recipient" in table.content.decode().splitlines()[0]


def test_what_cannot_be_answered_is_refused(agent: ApiClient) -> None:
    api = key_of(agent, "analytics:read", "providers:read")
    batch = "019a0000-0000-7000-8000-000000000001"
    refused = {
        "summary?since=yesterday": "since",
        "summary?since=2026-11-01T00:00:00": "since",
        "summary?since=2026-11-02T00:00:00Z&until=2026-11-01T00:00:00Z": "until",
        "summary?since=2020-01-01T00:00:00Z": "since",
        "summary?zone=Mars/Olympus": "zone",
        "summary?channel=pigeon": "channel",
        "summary?template=none": "template",
        "summary?category=none": "category",
        "summary?agent=none": "agent",
        "summary?version=1": "version",
        "summary?country=france": "country",
        "summary?variant=x": "variant",
        f"summary?batch={batch}&country=FR": "batch",
        f"top?by=category&batch={batch}": "batch",
        "summary?colour=red": "colour",
        "summary?provider=%00": "provider",
        "series?granularity=hour&since=2026-01-01T00:00:00Z": "granularity",
        "series?granularity=second": "granularity",
        "top": "by",
        "top?by=colour": "by",
        "top?by=agent&order=beauty": "order",
        "top?by=agent&limit=101": "limit",
    }
    for path, name in refused.items():
        answer = api.get(f"/api/v1/analytics/{path}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, name), path
