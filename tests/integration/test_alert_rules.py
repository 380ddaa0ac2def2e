"""What is measured becomes an alert, and goes when it is well again; who is told, and how often."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import alerts, ids
from commsproject.common.alerts import counts, notices, rules, targets
from commsproject.common.alerts.counts import What
from commsproject.common.alerts.rules import Measure, Reading, Verdict
from commsproject.common.models import (
    AlertCount,
    AlertNotice,
    AlertRule,
    AlertTarget,
    OutboxEvent,
    Severity,
)
from commsproject.common.outbox import catalogue
from notifications.models import Attempt, Category, Delivery, ProviderState, Work
from notifications.states import State
from notifications.types import Lane
from tests.engine import drain
from tests.factories import AttemptFactory, CategoryFactory, DeliveryFactory, WorkFactory
from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tracking.models import FailedMessage
from tracking.services import alert_measures

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)


def standing() -> dict[str, str]:
    return dict(alerts.standing().values_list("key", "title"))


def count(what: What, subject: str, n: int, at: datetime | None = None) -> None:
    minute = (at or timezone.now()).replace(second=0, microsecond=0)
    AlertCount.objects.create(minute=minute, what=what.value, subject=subject, n=n)


def only(key: str, **changes: Any) -> AlertRule:
    """The default rule `key`, alone."""
    rules._make_defaults()
    AlertRule.objects.exclude(key=key).update(enabled=False)
    AlertRule.objects.filter(key=key).update(**{"enabled": True, **changes})
    return AlertRule.objects.get(key=key)


def test_a_value_between_the_bounds_changes_nothing() -> None:
    rule = AlertRule(bound=0.1, recovery=0.05, minimum=50)
    for value, volume, verdict in (
        (0.1, 50, Verdict.WRONG),
        (0.9, 49, Verdict.WELL),
        (0.099, 50, Verdict.BETWEEN),
        (0.051, 5000, Verdict.BETWEEN),
        (0.05, 50, Verdict.WELL),
        (0.0, 0, Verdict.WELL),
    ):
        assert rules.judge(rule, Reading("", value, "", volume=volume)) is verdict, value


@pytest.mark.django_db
class TestEachMeasure:
    def test_every_measure_is_taken_and_has_a_rule_that_is_on(self) -> None:
        rules.evaluate()
        assert set(rules._measures) == set(Measure.values)
        assert {rule.measure for rule in AlertRule.objects.filter(enabled=True)} == set(
            Measure.values
        )
        assert standing() == {}  # nothing is wrong with an empty installation
        assert not AlertRule.objects.exclude(last_error="")
        AlertRule.objects.filter(key="failures").update(bound=0.5)
        rules.evaluate()
        assert AlertRule.objects.get(key="failures").bound == 0.5

    def test_shares_of_what_was_counted(self) -> None:
        cases = (
            ("failures", What.FAILED, What.TAKEN, "10.0% of the deliveries by x fail", 10),
            ("provider-failures", What.CALL_FAILED, What.CALL_TAKEN, "20.0% of the calls", 20),
        )
        for key, bad, good, title, n in cases:
            AlertCount.objects.all().delete()
            only(key)
            count(good, "x", 100 - n)
            count(bad, "x", n)
            count(bad, "y", 49)  # all of few
            rules.evaluate()
            assert list(standing()) == [f"rule.{key}:x"]
            assert title in standing()[f"rule.{key}:x"]
            AlertCount.objects.all().delete()  # the window has passed by
            rules.evaluate()
            assert standing() == {}

    def test_bounces_and_complaints_are_shares_of_what_was_taken(self) -> None:
        for key, what, n in (("bounces", What.BOUNCED, 50), ("complaints", What.COMPLAINED, 1)):
            AlertCount.objects.all().delete()
            only(key)
            count(What.CALL_TAKEN, "ses", 1000)
            count(what, "ses", n)
            count(what, "of-yesterday", 7)
            rules.evaluate()
            assert list(standing()) == [f"rule.{key}:ses"]

    def test_a_provider_that_is_shut_and_one_that_staff_switched_off(self) -> None:
        only("provider-shut")
        for name, enabled in (("ses", True), ("smtp", False)):
            ProviderState.objects.create(
                name=name, breaker="open", enabled=enabled, reason="5 failures in a row"
            )
        rules.evaluate()
        assert list(standing()) == ["rule.provider-shut:ses"]
        assert alerts.standing().get().detail == "5 failures in a row"
        ProviderState.objects.update(breaker="closed")
        rules.evaluate()
        assert standing() == {}

    def test_a_queue_that_nobody_works_off(self) -> None:
        for lane, key, seconds in (
            (Lane.URGENT, "queue-urgent", 15),
            (Lane.BULK, "queue-bulk", 1800),
        ):
            rule = only(key)
            late = timezone.now() - timedelta(seconds=seconds + 1)
            WorkFactory.create(lane=lane, due_at=late)
            rules.evaluate()
            assert list(standing()) == [f"rule.{key}:{lane}"]
            Work.objects.all().delete()
            WorkFactory.create(
                lane=lane, due_at=timezone.now() - timedelta(seconds=rule.recovery + 1)
            )
            rules.evaluate()
            assert standing()  # in between it stays
            Work.objects.all().delete()
            rules.evaluate()
            assert standing() == {}

    def test_what_waits_for_a_limit_counts_but_for_bulk(self) -> None:
        now = timezone.now()
        for lane, key in ((Lane.URGENT, "queue-urgent"), (Lane.BULK, "queue-bulk")):
            only(key)
            WorkFactory.create(
                lane=lane,
                due_at=now + timedelta(seconds=5),
                throttled_since=now - timedelta(seconds=2000),
            )
            rules.evaluate()
            assert bool(standing()) == (lane is Lane.URGENT)
            Work.objects.all().delete()
            rules.evaluate()
            assert standing() == {}

    def test_what_is_spent_of_a_days_money(self, settings: Any) -> None:
        only("spend")
        settings.SMS_DAILY_CAP = 100
        AttemptFactory.create(cost=30, state=Attempt.State.ACCEPTED)
        AttemptFactory.create(cost=90, state=Attempt.State.REJECTED)
        before = ids.floor(timezone.now() - timedelta(hours=2))
        AttemptFactory.create(id=before, cost=90, state=Attempt.State.ACCEPTED)
        rules.evaluate()
        assert "30% of a day's money" in standing()["rule.spend"]
        settings.SMS_DAILY_CAP = None
        rules.evaluate()
        assert standing() == {}

    def test_receipts_that_stay_away(self) -> None:
        only("no-receipts")
        with time_machine.travel(NOW, tick=False):
            earlier, just_now = NOW - timedelta(minutes=45), NOW - timedelta(minutes=5)
            for name in ("ses", "smtp"):  # of the second nobody ever heard any
                count(What.CALL_TAKEN, name, 100, earlier)
                count(What.CALL_TAKEN, name, 100, just_now)
            count(What.RECEIPT, "ses", 70, NOW - timedelta(days=3))
            count(What.RECEIPT, "ses", 5, just_now)
            rules.evaluate()
            assert list(standing()) == ["rule.no-receipts:ses"]
            count(What.RECEIPT, "ses", 60, earlier)
            rules.evaluate()
            assert standing() == {}

    def test_silence_where_there_usually_is_none(self) -> None:
        only("silence")
        with time_machine.travel(NOW, tick=False):
            for day in (1, 2, 3):
                count(What.TAKEN, "email", 200, NOW - timedelta(days=day, minutes=20))
            rules.evaluate()
            assert standing() == {}  # three days of seven are no use to anybody
            count(What.TAKEN, "email", 60, NOW - timedelta(days=5, minutes=20))
            rules.evaluate()
            assert standing() == {
                "rule.silence": "0 messages in 60 min, where there usually are 60"
            }
            count(What.TAKEN, "sms", 31, NOW - timedelta(minutes=20))
            rules.evaluate()
            assert standing() == {}

    def test_a_rule_that_cannot_be_measured_stops_no_other(self, monkeypatch: Any) -> None:
        def broken(_window: timedelta) -> Iterator[Reading]:
            raise KeyError("x")

        only("dead-letters", bound=1)
        AlertRule.objects.filter(key="silence").update(enabled=True)
        count(What.DEAD, "email", 1)
        monkeypatch.setitem(rules._measures, Measure.SILENCE.value, broken)
        rules.evaluate()
        assert list(standing()) == ["rule.dead-letters:email"]
        assert AlertRule.objects.get(key="silence").last_error == "KeyError"
        monkeypatch.undo()
        rules.evaluate()
        assert AlertRule.objects.get(key="silence").last_error == ""

    def test_a_rule_for_one_and_a_rule_that_is_switched_off(self) -> None:
        rule = only("dead-letters", only="sms", bound=1)
        for channel in ("email", "sms"):
            count(What.DEAD, channel, 1)
        rules.evaluate()
        assert list(standing()) == ["rule.dead-letters:sms"]
        AlertRule.objects.filter(id=rule.id).update(enabled=False)
        rules.evaluate()
        assert standing() == {}


def send(api: APIClient, address: str, **more: Any) -> str:
    body = {"to": {"email": address}, "content": {"subject": "Hello", "text": "It works."}}
    answer = api.post("/api/v1/notifications", {**body, **more}, format="json")
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


@pytest.mark.django_db
class TestFromTheEngine:
    def test_what_a_window_did_is_counted_once(self, api: APIClient) -> None:
        for number in range(3):
            send(api, f"ok+{number}@simulator.test")
        send(api, "fail@simulator.test")
        drain()
        counts.fold()
        found = counts.between(timezone.now() - timedelta(minutes=5), timezone.now())
        assert found[What.TAKEN] == {"email": 3}
        assert found[What.FAILED] == {"email": 1}
        assert found[What.CALL_TAKEN] == {"simulator": 3}
        assert What.DEAD not in found
        assert What.CALL_FAILED not in found  # the message was refused, the provider is well

    def test_an_urgent_and_an_essential_message_are_named_with_their_errors(
        self, api: APIClient
    ) -> None:
        CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
        CategoryFactory.create(key="news", kind=Category.Kind.MARKETING)
        send(api, "fail@simulator.test", category="news")
        urgent = send(api, "fail+1@simulator.test", priority="urgent")
        code = send(api, "fail+2@simulator.test", category="codes")
        drain()
        drain(Lane.URGENT)
        only("message-failed")
        rules.evaluate()
        found = standing()
        assert sorted(found) == ["rule.message-failed", "rule.message-failed:codes"]
        assert urgent in found["rule.message-failed"]
        assert code in found["rule.message-failed:codes"]
        for title in found.values():
            assert "permanent" in title
            assert "simulator.test" not in title
        with time_machine.travel(timezone.now() + timedelta(minutes=16)):
            rules.evaluate()
            assert standing() == {}

    def test_not_where_another_channel_may_still_do(self) -> None:
        only("message-failed")
        lost = DeliveryFactory.create(state=State.FAILED)
        message = lost.notification
        FailedMessage.objects.create(notification_id=message.id, error="permanent: gone")
        other = DeliveryFactory.create(notification=message, state=State.QUEUED)
        rules.evaluate()
        assert standing() == {}
        for state, stands in ((State.SENT, 0), (State.SUPPRESSED, 1), (State.BOUNCED, 1)):
            Delivery.objects.filter(id=other.id).update(state=state)
            rules.evaluate()
            assert len(standing()) == stands, state

    def test_many_are_one_alert_that_names_the_newest(self) -> None:
        only("message-failed")
        for number in range(8):
            row = DeliveryFactory.create(state=State.DEAD)
            FailedMessage.objects.create(
                notification_id=row.notification_id, category="codes", error=f"temporary: {number}"
            )
        rules.evaluate()
        alert = alerts.standing().get()
        assert alert.title.startswith("8 messages (codes) failed, the last is")
        assert "temporary: 7" in alert.title
        assert len(alert.detail.splitlines()) == alert_measures.NAMED


# --- Telling -------------------------------------------------------------------------------------


@pytest.fixture
def sink(settings: Any) -> Iterator[FakeHttpServer]:
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    server = FakeHttpServer()
    server.start()
    yield server
    server.stop()


def target(address: str, **fields: Any) -> AlertTarget:
    made = AlertTarget(name="on call", **fields)
    targets.put(made, address)
    made.save()
    return made


def told(sink: FakeHttpServer) -> list[tuple[str, str]]:
    bodies = [json.loads(request.body) for request in sink.accepted]
    return [(body["type"], body.get("title", "")) for body in bodies]


def wrong(key: str = "a", severity: Severity = Severity.WARNING) -> None:
    alerts.raise_once(key, severity=severity, title=f"{key} is wrong", detail="Look at it.")


@pytest.mark.django_db
def test_events_tell_of_it_too() -> None:
    for _ in range(2):
        wrong()
    alerts.resolve("a")
    alerts.resolve("a")
    told_of = list(OutboxEvent.objects.order_by("number").values_list("type", "items"))
    assert [kind for kind, _ in told_of] == ["alert.raised", "alert.resolved"]
    for kind, items in told_of:
        jsonschema.validate(items[0], catalogue.KINDS[kind].schema())
        assert (items[0]["key"], items[0]["severity"]) == ("a", "warning")


@pytest.mark.django_db(transaction=True)
class TestTelling:
    def run(self) -> None:
        notices.write()
        notices.tell_due()

    def test_once_when_it_begins_and_once_when_it_is_over(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook?token=s3cret")
        wrong()
        self.run()
        self.run()
        assert told(sink) == [("alert.raised", "a is wrong")]
        alerts.resolve("a")
        self.run()
        self.run()
        assert [kind for kind, _ in told(sink)] == ["alert.raised", "alert.resolved"]
        body = json.loads(sink.accepted[-1].body)
        assert body["resolved_at"]
        assert body["url"].endswith(f"/admin/common/alert/{body['alert_id']}/change/")

    def test_what_comes_and_goes_is_told_once_in_its_cool_down(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook")
        now = timezone.now()
        for minute in range(0, 30, 5):
            with time_machine.travel(now + timedelta(minutes=minute)):
                wrong()
                self.run()
                alerts.resolve("a")
                self.run()
        assert [kind for kind, _ in told(sink)] == ["alert.raised", "alert.resolved"]
        with time_machine.travel(now + timedelta(minutes=29)):
            wrong()
            self.run()
        assert len(told(sink)) == 2
        with time_machine.travel(now + timedelta(minutes=31)):  # it still stands
            self.run()
        assert len(told(sink)) == 3

    def test_what_gets_worse_is_told_at_once(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook")
        wrong()
        self.run()
        wrong(severity=Severity.CRITICAL)
        self.run()
        wrong()
        self.run()
        severities = [json.loads(request.body)["severity"] for request in sink.accepted]
        assert severities == ["warning", "critical"]

    def test_each_target_is_tried_again_by_itself_and_in_order(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook")
        target("email:oncall@simulator.test")
        sink.script.next(Status(503), Status(500))
        wrong()
        self.run()
        alerts.resolve("a")
        self.run()
        waiting = AlertNotice.objects.filter(next_try_at__isnull=False).order_by("id")
        assert [(row.kind, row.tries) for row in waiting] == [("raised", 1), ("resolved", 0)]
        assert waiting[0].error == "It answered 503."
        for _ in range(3):
            AlertNotice.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
            notices.tell_due()
        assert [kind for kind, _ in told(sink)] == ["alert.raised", "alert.resolved"]
        assert not AlertNotice.objects.exclude(error="")
        mails = list(mailbox())
        assert [subject for subject, _ in mails] == [
            "Warning: a is wrong",
            "Resolved: a is wrong",
        ]
        assert "Look at it." in mails[0][1]

    def test_a_process_that_dies_meanwhile_loses_nothing(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook")
        wrong()
        notices.write()
        assert len(notices._claim()) == 1  # and then it was killed
        assert notices.tell_due() == 0
        with time_machine.travel(timezone.now() + notices.LEASE + timedelta(seconds=1)):
            assert notices.tell_due() == 1
        assert told(sink) == [("alert.raised", "a is wrong")]

    def test_some_want_to_hear_only_of_what_is_critical(self, sink: FakeHttpServer) -> None:
        target(f"{sink.url}/hook", least=Severity.CRITICAL)
        target(f"{sink.url}/never", is_active=False)
        wrong("a")
        wrong("b", Severity.CRITICAL)
        self.run()
        assert told(sink) == [("alert.raised", "b is wrong")]

    def test_by_a_service_of_apprise(self, sink: FakeHttpServer) -> None:
        made = target(f"json://127.0.0.1:{sink.port}/token-s3cret")
        assert made.place == "json://"
        notices.try_out(made)
        notices.tell_due()
        assert json.loads(sink.accepted[0].body)["title"] == "Test"
        sink.script.next(Status(401))
        notices.try_out(made)
        notices.tell_due()
        assert "token" in AlertNotice.objects.latest("id").error

    def test_a_service_of_apprise_leads_to_no_private_network(
        self, sink: FakeHttpServer, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever its name stands for, and wherever it is led on to."""
        here = target(f"json://127.0.0.1:{sink.port}/")
        named = target(f"json://hooks.example.org:{sink.port}/")

        def errors() -> list[str]:
            for one in (here, named):
                notices.try_out(one)
            notices.tell_due()
            return list(AlertNotice.objects.order_by("-id").values_list("error", flat=True)[:2])

        near = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sink.port))
        look_up = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *of, **more: (
                [near] if host == "hooks.example.org" else look_up(host, *of, **more)
            ),
        )
        settings.WEBHOOK_NETWORKS = ()
        assert errors() == ["It is in a private network."] * 2
        assert sink.connections == 0
        settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
        away = {"Location": f"http://[::1]:{sink.port}/"}
        sink.script.always(Status(307, headers=away))
        assert errors() == ["It is in a private network."] * 2

    def test_the_targets_of_the_settings(self, sink: FakeHttpServer, settings: Any) -> None:
        settings.ALERT_TARGETS = [f"{sink.url}/hook?token=s3cret", "email:a@example.org"]
        wrong()
        self.run()
        notices.write()
        places = set(AlertTarget.objects.values_list("place", flat=True))
        assert places == {"http://127.0.0.1", "a@example.org"}
        assert len(told(sink)) == 1
        settings.ALERT_TARGETS = ["email:a@example.org"]
        alerts.resolve("a")
        wrong("b")
        self.run()
        assert len(told(sink)) == 1

    def test_one_bad_address_in_the_settings_costs_no_other(
        self, sink: FakeHttpServer, settings: Any
    ) -> None:
        settings.ALERT_TARGETS = ["json://10.0.0.1/s3cret", "nonsense", f"{sink.url}/hook"]
        wrong()
        self.run()
        assert sorted(title for _, title in told(sink)) == [
            "ALERT_TARGETS names what is no target",
            "a is wrong",
        ]
        alert = alerts.standing().get(key="alerts.targets")
        assert "Address 1: It is in a private network." in alert.detail
        assert "Address 2: Begin with" in alert.detail
        settings.ALERT_TARGETS = [f"{sink.url}/hook"]
        self.run()
        assert standing() == {"a": "a is wrong"}

    def test_an_address_outlives_its_key_and_is_in_no_row(self, settings: Any) -> None:
        made = target("json://hooks.example.org/s3cret")
        kept = AlertTarget.objects.filter(id=made.id).values_list().get()
        assert "s3cret" not in repr(kept)
        assert b"s3cret" not in bytes(made.sealed)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        assert targets._open(made) == "json://hooks.example.org/s3cret"
        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(targets.NotTaken, match="enter it anew"):
            targets._open(made)


def mailbox() -> Iterator[tuple[str, str]]:
    from notifications.models import SimulatedMessage

    for row in SimulatedMessage.objects.order_by("id"):
        yield row.parts["subject"], row.parts["text"]


def test_what_is_no_address_of_a_target(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = ()
    for address in (
        "",
        "oncall@example.org",
        "email:nobody",
        "email:",
        "https://10.0.0.1/hook",
        "http://hooks.example.org/s3cret",
        "https://user:s3cret@hooks.example.org/",
        "nonsense://s3cret",
        "slack://s3cret",
        "dbus://",
        "syslog://",
        "json://hooks.example.org/?template=/etc/passwd",
        "json://hooks.example.org/?a=b;Template=/etc/passwd",
        "fcm://project@s3cret/device/?keyfile=/etc/passwd",
        "vapid://a@example.org/?subfile=/etc/passwd",
        "mailto://u:s3cret@gmail.com?PGPPUB=/etc/passwd",
        "xmpp://u:s3cret@example.org",
        "rsyslog://127.0.0.1",
        "apprise://LOCALHOST./s3cret",
        "ntfy://10.0.0.1/s3cret",
        "json://0x7f000001/",
        "json://2130706433/",
        "jsons://[::ffff:127.0.0.1]/",
        "jsons://metadata.google.internal/",
    ):
        with pytest.raises(ValidationError) as refusal:
            targets.check(address)
        assert "s3cret" not in str(refusal.value), address
    token = "tgram://170000000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/1234567"
    for address in ("ntfys://ntfy.sh/s3cret", "mailtos://u:p@gmail.com", token):
        targets.check(address)


def test_no_other_name_of_what_is_refused_gets_through() -> None:
    from apprise.apprise import N_MGR

    kinds: dict[type, set[str]] = {}
    for scheme in N_MGR.schemas():
        kinds.setdefault(N_MGR[scheme], set()).add(scheme)
    refused = targets._LOCAL | targets._UNWATCHED
    for names in kinds.values():
        assert names <= refused or not names & refused, names
