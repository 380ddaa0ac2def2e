"""`/api/v1/schedules`, and the runs that come of them: each once, whoever else is at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import scheduler
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications import jobs
from notifications.models import (
    Batch,
    Category,
    Delivery,
    Notification,
    Schedule,
    SimulatedMessage,
    Work,
)
from notifications.services import schedule as service
from notifications.states import State
from notifications.timetable import MOST_CAUGHT_UP, Missed
from notifications.types import Lane
from templates_app.models import TemplateVersion
from tests.engine import drain
from tests.factories import (
    ApiClientFactory,
    CategoryFactory,
    RecipientFactory,
    TemplateVersionFactory,
)
from tests.walk import each

URL = "/api/v1/schedules"
MESSAGE: dict[str, Any] = {
    "to": {"email": "ada@simulator.test"},
    "content": {"subject": "Hello", "text": "It works."},
}
GOOD: dict[str, Any] = {"name": "report", "cron": "0 9 * * *", "notification": MESSAGE}


@pytest.fixture(autouse=True)
def _time_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine one round is not to leave what another would do."""
    monkeypatch.setattr(service, "SECONDS", 60)


def but(**changes: Any) -> dict[str, Any]:
    """A good request with other or more fields; `None` leaves one out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def message(**changes: Any) -> dict[str, Any]:
    merged = {**MESSAGE, **changes}
    return but(notification={name: part for name, part in merged.items() if part is not None})


BOB: dict[str, Any] = {"to": {"email": "bob@simulator.test"}}
BATCH: dict[str, Any] = {"rows": [BOB], "content": MESSAGE["content"]}


def batch(**changes: Any) -> dict[str, Any]:
    merged = {**BATCH, **changes}
    body = {name: part for name, part in merged.items() if part is not None}
    return but(notification=None, batch=body)


def post(api: APIClient, body: Any) -> Any:
    return api.post(URL, body, format="json")


def made(api: APIClient, **changes: Any) -> Schedule:
    answer = post(api, but(**changes))
    assert answer.status_code == 201, answer.content
    return Schedule.objects.get(id=answer.json()["id"])


def patch(api: APIClient, row: Schedule, **changes: Any) -> Any:
    return api.patch(f"{URL}/{row.id}", changes, format="json")


def fields_of(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.content
    return {error["field"] for error in answer.json()["errors"]}


def clock() -> datetime:
    return service._now()


def far() -> str:
    """Once a day, half a day from now: of itself not due during any test."""
    return f"0 {(clock().hour + 12) % 24} * * *"


def ago(**delta: float) -> datetime:
    """A whole minute. Ask once: the next call may be in another."""
    return clock().replace(second=0, microsecond=0) - timedelta(**delta)


def make_due(row: Schedule, since: datetime) -> None:
    Schedule.objects.filter(id=row.id).update(next_at=since)


def sent() -> list[str]:
    keys_ = Notification.objects.order_by("id").values_list("idempotency_key", flat=True)
    return list(keys_)


def key(row: Schedule, run: datetime) -> str:
    return f"schedule:{row.id}:{run.astimezone(UTC).isoformat()}"


# --- The API ---------------------------------------------------------------------------------


@pytest.mark.django_db
class TestMaking:
    @time_machine.travel("2026-11-22 12:00", tick=False)
    def test_it_is_kept_and_shown(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "_now", timezone.now)
        answer = post(api, but(cron=" 0 9  * * mon-fri ", time_zone="Europe/Berlin"))
        assert answer.status_code == 201, answer.content
        shown = answer.json()
        assert shown.pop("id")
        assert shown == {
            "name": "report",
            "cron": "0 9 * * MON-FRI",
            "time_zone": "Europe/Berlin",
            "kind": "notification",
            "notification": {**MESSAGE, "priority": "normal"},
            "batch": None,
            "missed": "once",
            "enabled": True,
            "ends_at": None,
            "next_runs": [f"2026-11-{day}T09:00:00+01:00" for day in (23, 24, 25, 26, 27)],
            "last_run_at": None,
            "last_error": None,
            "created_at": "2026-11-22T12:00:00Z",
        }
        assert not Notification.objects.exists()
        assert not IdempotencyKey.objects.exists()

    def test_every_field_of_a_message_is_kept(self, api: APIClient) -> None:
        RecipientFactory.create(user_id="u-1")
        TemplateVersionFactory.create(template__key="welcome")
        full = {
            "to": {"user_id": "u-1", "email": "ada@simulator.test", "phone": "+14155550132"},
            "channels": ["email"],
            "template": "welcome",
            "data": {"name": "Ada", "nested": [1, 2.5, None, {"a": True}]},
            "locale": "en",
            "priority": "urgent",
            "agent_id": "shop",
            "reference": "r-1",
            "tags": ["a", "b"],
            "reply_to": "help@example.org",
            "metadata": {"order": "1"},
            "attachments": [{"filename": "a.txt", "content": "aGk=", "content_type": "text/plain"}],
        }
        row = made(api, notification=full)
        assert row.request == full
        make_due(row, ago())
        service.run_due()
        stored = Notification.objects.select_related("recipient", "template_version").get()
        assert stored.recipient is not None
        assert stored.recipient.user_id == "u-1"
        assert (stored.priority, stored.data) == ("urgent", full["data"])
        assert (stored.tags, stored.metadata) == (["a", "b"], {"order": "1"})
        assert (stored.agent_id, stored.reference) == ("shop", "r-1")
        assert stored.attachments == full["attachments"]
        assert Delivery.objects.get().channel == "email"

    def test_addresses_are_kept_in_their_normal_form(self, api: APIClient) -> None:
        row = made(api, notification={**MESSAGE, "to": {"email": "Ada@SIMULATOR.test"}})
        assert row.request["to"]["email"].endswith("@simulator.test")

    def test_a_name_is_taken_once_by_each_agent(self, api: APIClient) -> None:
        made(api)
        answer = post(api, GOOD)
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
        service.create(
            ApiClientFactory.create(),
            {"name": "report", "cron": "0 9 * * *", "kind": "notification",
             "request": {**MESSAGE, "priority": "normal"}},
        )  # fmt: skip
        assert Schedule.objects.count() == 2


WRONG: list[tuple[Any, set[str]]] = [
    (but(name=None), {"name"}),
    (but(name=""), {"name"}),
    (but(name="x" * 101), {"name"}),
    (but(name="two\nlines"), {"name"}),
    (but(name=5), {"name"}),
    (but(cron=None), {"cron"}),
    (but(cron="often"), {"cron"}),
    (but(cron="61 * * * *"), {"cron"}),
    (but(cron="* * * * * *"), {"cron"}),
    (but(cron="0 0 30 2 *"), {"cron"}),
    (but(cron="1," * 60), {"cron"}),
    (but(cron=9), {"cron"}),
    (but(cron="0 9 * *\0 *"), {""}),
    (but(time_zone="Mars/Base"), {"time_zone"}),
    (but(time_zone="../../etc/localtime"), {"time_zone"}),
    (but(time_zone="+01:00"), {"time_zone"}),
    (but(time_zone=""), {"time_zone"}),
    (but(time_zone="europe/berlin"), {"time_zone"}),
    (but(missed="maybe"), {"missed"}),
    (but(enabled="yes"), {"enabled"}),
    (but(ends_at="tomorrow"), {"ends_at"}),
    (but(ends_at="2020-01-01T00:00:00Z"), {"ends_at"}),
    (but(every="day"), {"every"}),
    (but(notification=None), {"notification"}),
    (but(notification=[]), {"notification"}),
    (but(notification="hello"), {"notification"}),
    (but(batch=BATCH), {"notification"}),
    (batch(rows=None), {"batch.rows"}),
    (batch(rows=[]), {"batch.rows"}),
    (batch(rows={}), {"batch.rows"}),
    (batch(rows=["x"]), {"batch.rows.0"}),
    (batch(rows=[{"to": {"email": "x"}}]), {"batch.rows.0.to.email"}),
    (batch(rows=[BOB, {}, {**BOB, "x": 1}]), {"batch.rows.1.to", "batch.rows.2.x"}),
    (batch(rows=[BOB, {"to": {"user_id": "stranger"}}]), {"batch.rows.1.to.user_id"}),
    (batch(rows=[BOB] * 5001), {"batch.rows"}),
    (batch(content=None), {"batch.template"}),
    (batch(content=None, template="nowhere"), {"batch.template"}),
    (batch(content={"subject": "{{ x }}", "text": "x"}, data={}), {"batch.rows.0.data.x"}),
    (batch(send_at="2027-01-01T00:00:00Z"), {"batch.send_at"}),
    (batch(to={"email": "bob@simulator.test"}), {"batch.to"}),
    (batch(pace=0), {"batch.pace"}),
    (message(to=None), {"notification.to"}),
    (message(to={"email": "nobody"}), {"notification.to.email"}),
    (message(content=None), {"notification.template"}),
    (message(content={"subject": "x"}), {"notification.content"}),
    (message(content=None, template="nowhere"), {"notification.template"}),
    (message(category="nowhere"), {"notification.category"}),
    (message(to={"user_id": "stranger"}), {"notification.to.user_id"}),
    (message(content={"subject": "{{ x }}", "text": "x"}, data={}), {"notification.data.x"}),
    (message(data={"x": "a\0b"}, content={"subject": "x", "text": "x"}), {""}),
    (message(channels=["sms"]), {"notification.channels.0"}),
    (message(colour="red"), {"notification.colour"}),
    (message(send_at="2030-01-01T00:00:00Z"), {"notification.send_at"}),
    (message(send_at="2027-01-01T00:00:00Z"), {"notification.send_at"}),
    (message(expires_at="2099-01-01T00:00:00Z"), {"notification.expires_at"}),
    (message(dry_run=True), {"notification.dry_run"}),
    ([], {""}),
]


@pytest.mark.django_db
@each(("body", "fields"), WRONG)
def test_what_is_wrong_is_named(api: APIClient, body: Any, fields: set[str]) -> None:
    assert fields_of(post(api, body)) == fields
    assert not Schedule.objects.exists()
    assert not Notification.objects.exists()


@pytest.mark.django_db
class TestChanging:
    def test_a_name_alone_changes_no_time(self, api: APIClient) -> None:
        row, since = made(api), ago(hours=2)
        make_due(row, since)
        assert patch(api, row, name="other").status_code == 200
        row.refresh_from_db()
        assert (row.name, row.next_at) == ("other", since)

    @pytest.mark.parametrize(
        "changes",
        [
            {"cron": "0 10 * * *"},
            {"time_zone": "Asia/Tokyo"},
            {"ends_at": "2099-01-01T00:00:00Z"},
        ],
    )
    def test_other_times_count_from_now(self, api: APIClient, changes: dict[str, str]) -> None:
        row = made(api)
        make_due(row, ago(hours=2))
        answer = patch(api, row, **changes)
        assert answer.status_code == 200, answer.content
        row.refresh_from_db()
        assert row.next_at is not None
        assert row.next_at > clock()

    def test_pause_and_resume(self, api: APIClient) -> None:
        row = made(api)
        assert patch(api, row, enabled=False).json()["next_runs"] == []
        make_due(row, ago(hours=2))
        service.run_due()
        assert sent() == []
        answer = patch(api, row, enabled=True)
        assert len(answer.json()["next_runs"]) == 5
        service.run_due()
        assert sent() == []

    def test_made_paused(self, api: APIClient) -> None:
        row = made(api, enabled=False)
        assert row.next_at is None

    def test_another_message(self, api: APIClient) -> None:
        row = made(api)
        other = {**MESSAGE, "to": {"email": "bob@simulator.test"}}
        answer = patch(api, row, notification=other)
        assert answer.json()["notification"] == {**other, "priority": "normal"}

    def test_no_end_any_more(self, api: APIClient) -> None:
        row = made(api, ends_at=(clock() + timedelta(days=2)).isoformat())
        assert len(patch(api, row).json()["next_runs"]) <= 2
        assert len(patch(api, row, ends_at=None).json()["next_runs"]) == 5

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"cron": "never"}, "cron"),
            ({"name": None}, "name"),
            ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
            ({"notification": {}}, "notification.to"),
            ({"notification": {**MESSAGE, "category": "nowhere"}}, "notification.category"),
            ({"last_error": None}, "last_error"),
        ],
    )
    def test_bad_changes_change_nothing(
        self, api: APIClient, changes: dict[str, Any], field: str
    ) -> None:
        row = made(api)
        before = Schedule.objects.values().get()
        assert field in fields_of(patch(api, row, **changes))
        assert Schedule.objects.values().get() == before

    def test_a_name_that_is_taken(self, api: APIClient) -> None:
        made(api)
        other = made(api, name="other")
        answer = patch(api, other, name="report")
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")

    def test_delete(self, api: APIClient) -> None:
        row = made(api)
        make_due(row, ago())
        service.run_due()
        assert api.delete(f"{URL}/{row.id}").status_code == 204
        assert api.get(f"{URL}/{row.id}").status_code == 404
        assert Notification.objects.count() == 1


@pytest.mark.django_db
class TestWhoSees:
    def test_an_agent_sees_its_own(self, api: APIClient) -> None:
        mine = made(api)
        _, secret = keys.issue(ApiClientFactory.create(), list(Scope))
        other = APIClient()
        other.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert [row["id"] for row in api.get(URL).json()["results"]] == [str(mine.id)]
        assert other.get(URL).json()["results"] == []
        assert other.get(f"{URL}/{mine.id}").status_code == 404
        assert patch(other, mine, name="x").status_code == 404
        assert other.delete(f"{URL}/{mine.id}").status_code == 404
        assert Schedule.objects.get().name == "report"

    def test_scopes(self, api: APIClient, agent: ApiClient) -> None:
        row = made(api)
        _, secret = keys.issue(agent, [Scope.NOTIFICATIONS_READ])
        reader = APIClient()
        reader.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert reader.get(URL).status_code == reader.get(f"{URL}/{row.id}").status_code == 200
        assert post(reader, but(name="x")).status_code == 403
        assert patch(reader, row, name="x").status_code == 403
        assert reader.delete(f"{URL}/{row.id}").status_code == 403
        assert APIClient().get(URL).status_code == 401


# --- Runs ------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestRuns:
    def test_a_run_is_sent_once_and_the_next_is_set(self, api: APIClient) -> None:
        row, run = made(api, cron=far()), ago()
        make_due(row, run)
        service.run_due()
        service.run_due()
        assert sent() == [key(row, run)]
        drain()
        assert Delivery.objects.get().state == State.SENT
        row.refresh_from_db()
        assert row.last_at == run
        assert row.next_at is not None
        assert row.next_at > clock()
        shown = api.get(f"{URL}/{row.id}").json()
        assert shown["last_run_at"] is not None
        assert shown["last_error"] is None

    def test_what_is_not_due_is_not_sent(self, api: APIClient) -> None:
        made(api, cron=far())
        service.run_due()
        assert sent() == []

    @pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("once", 1), ("all", 3)])
    def test_missed_runs_by_policy(self, api: APIClient, missed: str, count: int) -> None:
        first = ago(hours=2, minutes=30)
        row = made(api, cron=f"{first.minute} * * * *", missed=missed)
        make_due(row, first)
        service.run_due()
        past = [first + timedelta(hours=n) for n in range(3)]
        assert sent() == [key(row, run) for run in past[3 - count :]]

    def test_too_many_missed_runs_are_told_of(self, api: APIClient) -> None:
        row = made(api, cron="* * * * *", missed="all")
        make_due(row, ago(hours=10))
        service.run_due()
        assert len(sent()) == len(set(sent())) == MOST_CAUGHT_UP
        error = api.get(f"{URL}/{row.id}").json()["last_error"]
        assert error["code"] == "too_many_missed"

    @pytest.mark.parametrize("hours", [-5, 5])
    def test_a_wrong_clock_of_the_process_changes_nothing(self, api: APIClient, hours: int) -> None:
        soon = made(api, name="soon", cron=far())
        due = made(api, name="due", cron=far())
        run, ahead = ago(), clock() + timedelta(minutes=3)
        make_due(soon, ahead)
        make_due(due, run)
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours)):
            service.run_due()
            service.run_due()
        assert sent() == [key(due, run)]
        soon.refresh_from_db()
        assert soon.next_at == ahead

    def test_a_crash_after_the_submission_sends_nothing_twice(self, api: APIClient) -> None:
        """Not possible as it is one transaction; the key would hold even so."""
        row, run = made(api, cron=far()), ago(minutes=1)
        make_due(row, run)
        service.run_due()
        first = sent()
        patch(api, row, notification={**MESSAGE, "content": {"subject": "New", "text": "New"}})
        make_due(row, run)
        service.run_due()
        assert sent() == first
        row.refresh_from_db()
        assert row.last_error is None

    def test_the_last_run_is_the_last(self, api: APIClient) -> None:
        row, run = made(api, cron=far()), ago()
        Schedule.objects.update(next_at=run, ends_at=run)
        service.run_due()
        assert sent() == [key(row, run)]
        shown = api.get(f"{URL}/{row.id}").json()
        assert (shown["next_runs"], shown["enabled"]) == ([], True)
        service.run_due()
        assert len(sent()) == 1

    def test_the_job_is_registered_for_each_second(self) -> None:
        assert scheduler._jobs["schedules"].every == timedelta(seconds=1)
        assert scheduler._jobs["schedules"].run is jobs.schedules


@pytest.mark.django_db
class TestTrouble:
    def test_a_refused_run_is_told_of_and_the_next_one_is_tried(self, api: APIClient) -> None:
        version = TemplateVersionFactory.create(template__key="welcome")
        row = made(
            api,
            cron=far(),
            notification={**message(content=None)["notification"], "template": "welcome",
                          "data": {"name": "Ada"}},
        )  # fmt: skip
        TemplateVersion.objects.update(published_at=None)
        make_due(row, ago())
        service.run_due()
        assert sent() == []
        error = api.get(f"{URL}/{row.id}").json()["last_error"]
        assert error["code"] == "invalid"
        assert "welcome" in error["message"]
        TemplateVersion.objects.update(published_at=version.published_at)
        make_due(row, ago())
        service.run_due()
        assert len(sent()) == 1
        assert api.get(f"{URL}/{row.id}").json()["last_error"] is None

    def test_a_schedule_of_an_inactive_agent_sends_nothing(
        self, api: APIClient, agent: ApiClient
    ) -> None:
        row = made(api, cron=far())
        make_due(row, ago())
        ApiClient.objects.update(is_active=False)
        service.run_due()
        assert sent() == []
        row.refresh_from_db()
        assert row.last_error is not None
        assert row.last_error["code"] == "agent_inactive"
        assert row.next_at is not None
        assert row.next_at > clock()

    @pytest.mark.parametrize(
        ("defect", "goes_on"), [({"request": {}}, True), ({"time_zone": "Mars/Base"}, False)]
    )
    def test_a_defective_one_stops_no_other_and_says_so(
        self, api: APIClient, defect: dict[str, Any], goes_on: bool
    ) -> None:
        bad = made(api, name="bad", cron=far())
        good = made(api, name="good", cron=far())
        Schedule.objects.filter(id=bad.id).update(**defect)
        run = ago()
        make_due(bad, ago(hours=1))
        make_due(good, run)
        service.run_due()
        assert sent() == [key(good, run)]
        bad.refresh_from_db()
        assert bad.last_error is not None
        assert bad.last_error["code"] == "internal"
        assert (bad.next_at is not None) is goes_on
        assert api.get(URL).status_code == 200

    def test_many_that_are_due_all_get_their_turn(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Other jobs of the scheduler, too: each round ends when its time is up."""
        monkeypatch.setattr(service, "SECONDS", 0)
        rows = [made(api, name=f"n{n}", cron=far()) for n in range(3)]
        since = ago(hours=1)
        for n, row in enumerate(rows):
            make_due(row, since + timedelta(minutes=n))
        for count in (1, 2, 3):
            service.run_due()
            assert Notification.objects.count() == count
        order = [one.split(":")[1] for one in sent()]
        assert order == [str(row.id) for row in rows]


@pytest.mark.django_db
class TestBatches:
    ROWS: ClassVar[list[dict[str, Any]]] = [
        {"to": {"email": "ada@simulator.test"}, "data": {"name": "Ada"}, "reference": "r-1"},
        {"to": {"email": "bob@simulator.test"}, "data": {"name": "Bob"}},
    ]

    def made(self, api: APIClient, **changes: Any) -> Schedule:
        content = {"subject": "{{ name }}", "text": "{{ team }}"}
        body = batch(rows=self.ROWS, content=content, data={"team": "A"}, **changes)
        return made(api, notification=None, batch=body["batch"], cron=far())

    def test_each_run_is_a_batch(self, api: APIClient) -> None:
        row = self.made(api, pace=50)
        shown = api.get(f"{URL}/{row.id}").json()
        assert shown["kind"] == "batch"
        assert shown["batch"]["rows"] == self.ROWS
        assert shown["notification"] is None
        run = ago()
        for _ in range(2):
            make_due(row, run)
            service.run_due()
        sent_batch = Batch.objects.get()
        assert (sent_batch.received, sent_batch.rejected, sent_batch.pace) == (2, 0, 50)
        assert sent_batch.state == Batch.State.RUNNING
        assert Notification.objects.count() == 2
        row.refresh_from_db()
        assert (row.last_at, row.last_error) == (run, None)
        Work.objects.update(due_at=run)
        drain(Lane.BULK)
        assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}

    def test_a_batch_that_waits_for_approval_waits_at_each_run(self, api: APIClient) -> None:
        row = self.made(api, approval=True)
        for minutes in (2, 1):
            make_due(row, ago(minutes=minutes))
            service.run_due()
        states = Batch.objects.values_list("state", flat=True)
        assert list(states) == [Batch.State.AWAITING_APPROVAL] * 2

    def test_a_batch_that_is_refused_is_told_of(self, api: APIClient) -> None:
        CategoryFactory.create(key="news")
        row = self.made(api, category="news")
        Category.objects.all().delete()
        make_due(row, ago())
        service.run_due()
        assert not Notification.objects.exists()
        assert not Batch.objects.exists()
        row.refresh_from_db()
        assert row.last_error is not None
        assert "news" in row.last_error["message"]

    def test_a_message_may_become_a_batch(self, api: APIClient) -> None:
        row = made(api)
        answer = patch(api, row, batch=BATCH)
        assert answer.status_code == 200, answer.content
        assert (answer.json()["kind"], answer.json()["notification"]) == ("batch", None)
        assert fields_of(patch(api, row, batch=BATCH, notification=MESSAGE)) == {"notification"}


# --- Several schedulers ----------------------------------------------------------------------


def in_threads(count: int, act: Callable[[], object]) -> None:
    """`act` in `count` threads at once, each on its own connection."""
    start = threading.Barrier(count)

    def run() -> None:
        try:
            start.wait(20)
            act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(run) for _ in range(count)]:
            done.result(50)


def make(count: int, cron: str = "", **fields: Any) -> list[Schedule]:
    client = ApiClientFactory.create()
    return Schedule.objects.bulk_create(
        Schedule(
            client=client,
            name=f"n{n}",
            cron=cron or far(),
            kind=Schedule.Kind.NOTIFICATION,
            request={**MESSAGE, "priority": "normal"},
            **fields,
        )
        for n in range(count)
    )


@pytest.mark.django_db(transaction=True)
def test_schedulers_at_the_same_time_send_each_run_once() -> None:
    first = ago(hours=2, minutes=30)
    rows = make(40, cron=f"{first.minute} * * * *", next_at=first, missed=Missed.ALL)
    in_threads(4, service.run_due)
    runs = [first + timedelta(hours=n) for n in range(3)]
    assert sorted(sent()) == sorted(key(row, run) for row in rows for run in runs)


@pytest.fixture
def losing(transactional_db: None) -> Iterator[Callable[[], None]]:
    """Every submission finds the server gone; calling it puts an end to that."""

    def run(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    run(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$",
        "CREATE TRIGGER lose BEFORE INSERT ON notifications_work FOR EACH ROW "
        "EXECUTE FUNCTION lose()",
    )
    yield lambda: run("DROP TRIGGER lose ON notifications_work")
    run("DROP FUNCTION lose() CASCADE")


def test_a_connection_that_is_lost_in_a_run_costs_no_run(losing: Callable[[], None]) -> None:
    make(2, next_at=ago())
    service.run_due()
    assert sent() == []
    losing()
    service.run_due()
    assert len(sent()) == 2


@pytest.mark.django_db(transaction=True)
def test_a_run_that_cannot_be_written_yet_stays_due_and_others_go_on() -> None:
    run = ago()
    blocked, free = make(2, next_at=run)
    with ThreadPoolExecutor(1) as pool:
        taken, go_on = threading.Event(), threading.Event()

        def hold_the_key() -> None:
            with transaction.atomic():
                IdempotencyKey.objects.create(
                    client=blocked.client, key=key(blocked, run), fingerprint=b"x"
                )
                taken.set()
                assert go_on.wait(30)
                transaction.set_rollback(True)
            connections.close_all()

        holding = pool.submit(hold_the_key)
        assert taken.wait(20)
        service.run_due()
        assert sent() == [key(free, run)]
        blocked.refresh_from_db()
        assert blocked.next_at == run
        assert blocked.last_error is None
        go_on.set()
        holding.result(20)
    service.run_due()
    assert set(sent()) == {key(free, run), key(blocked, run)}
    assert not SimulatedMessage.objects.exists()
    assert Work.objects.count() == 2
