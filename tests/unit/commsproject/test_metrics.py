"""`/metrics`: who may read it, what it says, and what it says when a part is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from commsproject.common import metrics, metrics_port, valkey
from commsproject.common.ids import floor, new_id
from commsproject.common.models import ScheduledJob
from notifications.models import Attempt, DeadLetter, ProviderState, QueueSample
from notifications.services import traffic
from notifications.types import ErrorClass, Lane, ProviderError
from tests.factories import AttemptFactory, DeliveryFactory, WorkFactory
from tests.processes import eventually
from tests.unit.commsproject.test_health import no_database  # noqa: F401 - a fixture

TOKEN = "scrape-me"


@pytest.fixture(autouse=True)
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def scrape(**headers: str) -> Any:
    return Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}", **headers})


def parsed(text: str) -> dict[str, Any]:
    """Families by name, as Prometheus would read them; a name twice is an error."""
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return {family.name: family for family in families}


def values(family: Any) -> dict[tuple[str, ...], float]:
    """Label values, in the order of the labels' names, to value."""
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def scraped() -> dict[str, Any]:
    answer = scrape()
    assert answer.status_code == 200, answer.content
    return parsed(answer.content.decode())


# --- Who may read it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer sçrape", "\x00"],
)
def test_without_the_token_it_is_closed(header):
    answer = Client().get("/metrics", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_token_it_is_open_by_whatever_name_it_is_called(scheme):
    answer = scrape(Authorization=f"{scheme} {TOKEN}", Host="10.1.2.3:8002")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("development", "address", "status"),
    [(True, "127.0.0.1", 200), (True, "::1", 200), (True, "10.0.0.7", 403), (True, "", 403),
     (False, "127.0.0.1", 403)],
)  # fmt: skip
def test_without_a_token_only_a_developer_reads_it_at_home(settings, development, address, status):
    settings.METRICS_TOKEN = ""
    settings.DEVELOPMENT = development
    answer = Client(REMOTE_ADDR=address).get("/metrics", headers={"Authorization": "Bearer "})
    assert answer.status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["*/*", "text/plain; version=x", "nonsense;;=,", ""])
def test_whatever_is_asked_for_it_is_text(accept):
    assert scrape(Accept=accept)["Content-Type"].startswith("text/plain; version=0.0.4")


# --- Of a process without requests -------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[int]:
    with metrics_port.Server("127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
    wire = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(wire):
        wire.request(method, path, headers=headers)
        answer = wire.getresponse()
        return answer.status, answer.read().decode()


def test_it_tells_what_is_its_own_and_asks_no_database(port):
    status, text = ask(port, Authorization=f"Bearer {TOKEN}")
    assert status == 200
    found = parsed(text)
    assert values(found["process_open_fds"])[()] > 0
    assert not [name for name in found if name.startswith(("comms_queue", "comms_job"))]
    assert ask(port, "/admin/", Authorization=f"Bearer {TOKEN}")[0] == 404
    for header in ("", "Bearer wrong"):
        assert ask(port, Authorization=header)[0] == 401


def test_without_a_token_it_is_closed(port, settings):
    settings.METRICS_TOKEN = ""
    assert ask(port)[0] == 403


def test_a_port_that_is_taken_stops_no_work(port, settings, caplog):
    settings.METRICS_PORT = port
    metrics_port.serve()
    assert "no metrics" in caplog.text


def test_calls_to_providers_are_timed_by_how_they_ended():
    async def call(error: Exception | None, *, begins: bool = True) -> None:
        with suppress(ProviderError, TimeoutError):
            async with traffic.Turn(traffic.to("acme"), is_last=True, patience=9) as turn:
                if begins:
                    turn.begin()
                if error:
                    raise error

    refused = ProviderError(ErrorClass.TEMPORARY, "503", "")
    for error in (None, refused, TimeoutError()):
        asyncio.run(call(error))
    asyncio.run(call(None, begins=False))
    samples = parsed(metrics.own_text().decode())["comms_provider_call_seconds"].samples
    assert {
        one.labels["outcome"]: one.value
        for one in samples
        if one.name.endswith("_count") and one.labels["provider"] == "acme"
    } == {"sent": 1, "temporary": 1, "ambiguous": 1}


# --- What it says ----------------------------------------------------------------------------


def test_the_queue_by_lane(db):
    now = timezone.now()
    work: Mapping[str, Any] = {"due_at": now - timedelta(seconds=90)}
    WorkFactory(lane=Lane.BULK, ids=[new_id() for _ in range(7)], **work)
    WorkFactory(lane=Lane.BULK, ids=[new_id()], lease_until=now + timedelta(minutes=1))
    WorkFactory(lane=Lane.NORMAL, ids=[new_id()] * 3, held=True, suspect=True)
    later: Mapping[str, Any] = {"lane": Lane.URGENT, "due_at": now + timedelta(hours=1)}
    WorkFactory(ids=[new_id()] * 2, **later)
    WorkFactory(ids=[new_id()] * 5, throttled_since=now - timedelta(seconds=90), **later)
    found = scraped()
    expected = {
        "due": (0, 0, 7),
        "in_flight": (0, 0, 1),
        "held": (0, 3, 0),
        "throttled": (5, 0, 0),
        "later": (2, 0, 0),
        "suspects": (0, 3, 0),
    }
    for name, counts in expected.items():
        lanes = [("urgent",), ("normal",), ("bulk",)]
        assert values(found[f"comms_queue_{name}"]) == dict(zip(lanes, counts, strict=True)), name
    assert 90 <= values(found["comms_queue_oldest_seconds"])["bulk",] < 180
    assert 90 <= values(found["comms_queue_throttled_seconds"])["urgent",] < 180


def test_the_speed_is_that_of_the_newest_sample(db):
    now = timezone.now()
    QueueSample.objects.create(lane="bulk", at=now - timedelta(seconds=90), sent=1)
    QueueSample.objects.create(lane="bulk", at=now, sent=600, retried=5, dead=2)
    QueueSample.objects.create(lane="normal", at=now - timedelta(minutes=3), sent=9)
    found = scraped()
    assert values(found["comms_queue_sent_per_minute"]) == {("bulk",): 600}
    assert values(found["comms_queue_retried_per_minute"]) == {("bulk",): 5}
    assert values(found["comms_queue_dead_per_minute"]) == {("bulk",): 2}


def test_calls_by_provider_and_outcome(db):
    for state in ("accepted", "accepted", "throttled"):
        AttemptFactory(state=state)
    AttemptFactory(provider="gone", state="failed")
    AttemptFactory(id=floor(timezone.now() - timedelta(seconds=61)))
    found = values(scraped()["comms_attempts_per_minute"])
    assert {name: n for name, n in found.items() if n} == {
        ("accepted", "simulator"): 2,
        ("throttled", "simulator"): 1,
        ("failed", "gone"): 1,
    }
    assert {(state, "simulator") for state in Attempt.State.values} <= set(found)


def test_dead_letters_that_nobody_replayed(db):
    for replayed_at in (None, None, timezone.now()):
        delivery = DeliveryFactory.create(state="dead")
        DeadLetter.objects.create(delivery=delivery, reason="x", replayed_at=replayed_at)
    assert values(scraped()["comms_dead_letters"]) == {(): 2}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "closed"),
        ({"failures": 2}, "closed"),
        ({"failures": 5, "opened_until": timedelta(seconds=30)}, "open"),
        ({"failures": 5, "opened_until": timedelta(seconds=-1)}, "half_open"),
    ],
)
def test_each_provider_and_its_breaker(db, fields, state):
    if opens := fields.get("opened_until"):
        fields = {**fields, "opened_until": timezone.now() + opens}
    if fields:
        ProviderState.objects.create(name="simulator", enabled=False, **fields)
    found = scraped()
    breaker = values(found["comms_provider_breaker"])
    now = {key for key, value in breaker.items() if value}
    assert now == {("simulator", state), ("inapp", "closed")}
    assert len(breaker) == 6
    failures = {("simulator",): fields.get("failures", 0), ("inapp",): 0}
    assert values(found["comms_provider_failures"]) == failures
    switches = {("simulator",): float(not fields), ("inapp",): 1.0}
    assert values(found["comms_provider_enabled"]) == switches


def test_limits_and_what_is_left_of_them(db):
    ProviderState.objects.create(name="simulator", limit_count=50, limit_seconds=10)
    found = scraped()
    assert values(found["comms_valkey_up"]) == {(): 1}
    assert values(found["comms_rate_limit_free"])["provider:simulator",] == 50
    assert values(found["comms_rate_limit_count"])["provider:simulator",] == 50
    assert values(found["comms_rate_limit_promised_seconds"])["provider:simulator",] == 0


def test_jobs_say_how_long_ago_they_ran(db):
    now = timezone.now()
    ScheduledJob.objects.create(name="well", last_run_at=now - timedelta(seconds=90))
    ScheduledJob.objects.create(name="ill", last_run_at=now, last_error="ValueError")
    ScheduledJob.objects.create(name="never")
    found = scraped()
    ages = values(found["comms_job_last_run_age_seconds"])
    assert set(ages) == {("well",), ("ill",)}
    assert 90 <= ages["well",] < 150
    assert values(found["comms_job_failed"]) == {("well",): 0, ("ill",): 1}


def test_the_process_is_there(db):
    found = scraped()
    assert values(found["process_resident_memory_bytes"])[()] > 10_000_000
    assert "python_info" in found


def counted(found: dict[str, Any], *labels: str) -> Any:
    samples = found["comms_http_requests"].samples
    return sum(
        sample.value
        for sample in samples
        if sample.name.endswith("_total") and tuple(sample.labels.values()) == labels
    )


def test_requests_are_counted_by_route_and_never_by_path(db, api):
    route = "api/v1/notifications/<uuid:notification_id>"
    before = scraped()
    api.get(f"/api/v1/notifications/{new_id()}")
    api.get(f"/api/v1/notifications/{new_id()}")
    api.generic("BREW", "/no/such/pot")
    Client().get("/health/live")
    found = scraped()
    assert counted(found, "GET", route, "404") - counted(before, "GET", route, "404") == 2
    assert counted(found, "other", "none", "404") - counted(before, "other", "none", "404") == 1
    seconds = {
        sample.labels["route"]: sample.value
        for sample in found["comms_http_request_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert seconds[route] >= 2
    assert not [name for name in seconds if "pot" in name or "health" in name or name == "metrics"]


# --- When a part is away ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["refuse", "blackhole", "reset"])
def test_without_valkey_it_answers_within_a_second(db, broker, caplog, mode):
    """0.3 s for one look (measured), on a connection from before and on a new one. A process that has
    answered all there is to ask takes long for what it counted itself.
    """
    longer = []
    for _ in range(3):
        eventually(answers)
        _, usual = timed_scrape()
        caplog.clear()
        with broker.fault(mode):
            text, took = timed_scrape()
        found = parsed(text)
        longer.append(took - usual)
        assert caplog.text.count("valkey unavailable") == 1
        assert values(found["comms_valkey_up"]) == {(): 0}
        assert "comms_rate_limit_free" not in found
        assert values(found["comms_queue_due"])["bulk",] == 0
    assert min(longer) < 1  # the others may have met a pause of the machine's


def timed_scrape() -> tuple[str, float]:
    """The text, and the seconds until it was there."""
    started = time.monotonic()
    answer = scrape()
    took = time.monotonic() - started
    assert answer.status_code == 200
    return answer.content.decode(), took


def answers() -> bool:
    """Valkey is not away, which on a busy machine it may seem to be."""
    valkey._silent_until = 0
    return values(scraped()["comms_valkey_up"]) == {(): 1}


def test_valkey_that_goes_during_a_scrape_leaves_no_limits(db, broker):
    ProviderState.objects.create(name="simulator", limit_count=50, limit_seconds=10)
    assert "comms_rate_limit_free" in scraped()
    broker.reset_after(len("+PONG\r\n") + 1)
    found = scraped()
    assert values(found["comms_valkey_up"]) == {(): 0}
    assert "comms_rate_limit_free" not in found


@pytest.mark.usefixtures("no_database")
def test_without_postgresql_it_says_so():
    answer = scrape()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "127.0.0.1" not in answer.content.decode()


def test_the_page_names_every_metric(db, settings):
    page = (Path(settings.BASE_DIR) / "docs/subsystems/metrics.md").read_text()
    QueueSample.objects.create(lane="bulk")
    ProviderState.objects.create(name="simulator", limit_count=1, limit_seconds=1)
    Client().get("/nowhere")
    ours = {name for name in scraped() if name.startswith("comms_")}
    assert len(ours) > 15
    assert {name for name in ours if f"`{name}`" not in page} == set()
