"""Stored webhooks looked through and applied again, and messages nobody reports on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common import ids
from commsproject.common.ids import new_id
from notifications.models import Attempt, Delivery, Event
from notifications.providers import simulator
from notifications.types import ErrorClass, EventType, Inquiry, ProviderError, ProviderEvent
from tests.factories import AttemptFactory
from tests.integration.test_webhooks_in import body_of, post, report, tell
from tracking.models import Bounce, Progress, WebhookReceipt
from tracking.services import ingest, receipts, silence

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhook-receipts"


@pytest.fixture
def one_of_each() -> dict[str, WebhookReceipt]:
    """By their states."""
    attempt = AttemptFactory.create()
    for body in (
        body_of(report(attempt.id, "bounced")),
        body_of(report(new_id(), "bounced")),
        b"not json",
        body_of(report(attempt.id, "opened")),
    ):
        assert post(body).status_code == 200
    applied, unknown, set_aside, waiting = WebhookReceipt.objects.order_by("id")
    now = timezone.now()
    rows = WebhookReceipt.objects
    rows.filter(id=unknown.id).update(processed_at=now, error=ingest.UNKNOWN)
    rows.filter(id=set_aside.id).update(tries=8, error="JSONDecodeError")
    rows.filter(id=waiting.id).update(next_try_at=now + timedelta(hours=1))
    assert ingest.run() == 1
    return {"applied": applied, "unknown": unknown, "set_aside": set_aside, "waiting": waiting}


def test_a_list_says_how_far_each_has_come_and_shows_no_body(
    api: APIClient, one_of_each: dict[str, WebhookReceipt]
) -> None:
    found = api.get(URL).json()["results"]
    assert [one["state"] for one in found] == list(reversed(one_of_each))
    assert found[1] == {
        "id": str(one_of_each["set_aside"].id),
        "provider": "simulator",
        "state": "set_aside",
        "size": len(b"not json"),
        "received_at": found[1]["received_at"],
        "processed_at": None,
        "tries": 8,
        "next_try_at": None,
        "error": "JSONDecodeError",
    }
    for state, receipt in one_of_each.items():
        page = api.get(URL, {"state": state, "provider": "simulator"}).json()
        assert [one["id"] for one in page["results"]] == [str(receipt.id)]
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    assert api.get(URL, {"since": tomorrow}).json()["results"] == []
    assert len(api.get(URL, {"until": tomorrow}).json()["results"]) == 4
    for first, count in (("since", 4), ("until", 0)):  # before the first of all keys
        page = api.get(URL, {first: "0001-01-01T00:00:00Z"}).json()
        assert len(page["results"]) == count
    for bad in ({"state": "odd"}, {"provider": "nobody"}, {"since": "now"}, {"body": "x"}):
        assert api.get(URL, bad).status_code == 400, bad


def test_what_is_applied_again_counts_once(
    api: APIClient, one_of_each: dict[str, WebhookReceipt]
) -> None:
    applied = one_of_each["applied"]
    answer = api.post(f"{URL}/{applied.id}/replay")
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    assert ingest.run() == 1
    applied.refresh_from_db()
    assert applied.processed_at is not None
    assert Event.objects.count() == Bounce.objects.count() == 1
    assert api.post(f"{URL}/{new_id()}/replay").status_code == 404


def test_many_are_applied_again_by_filter_but_none_that_was_erased(
    api: APIClient, one_of_each: dict[str, WebhookReceipt]
) -> None:
    answer = api.post(f"{URL}/replay", {"state": "set_aside"}, format="json")
    assert (answer.status_code, answer.json()) == (202, {"replayed": 1})
    one_of_each["set_aside"].refresh_from_db()
    assert receipts.state(one_of_each["set_aside"]) is receipts.State.WAITING
    WebhookReceipt.objects.filter(id=one_of_each["unknown"].id).update(body=b"")
    answer = api.post(f"{URL}/replay", {"provider": "simulator"}, format="json")
    assert answer.json() == {"replayed": 1}  # the applied one: the others wait, or are blank
    assert api.post(f"{URL}/replay", {}, format="json").status_code == 400


def test_staff_apply_again_what_they_chose_after_being_asked(
    admin_client: Client, one_of_each: dict[str, WebhookReceipt]
) -> None:
    page = reverse("admin:tracking_webhookreceipt_changelist")
    assert b"not json" not in admin_client.get(page, {"state": "set_aside"}).content
    chosen = {"action": "apply_again", "_selected_action": [str(one_of_each["set_aside"].id)]}
    assert b"Apply these webhooks again?" in admin_client.post(page, chosen).content
    one_of_each["set_aside"].refresh_from_db()
    assert receipts.state(one_of_each["set_aside"]) is receipts.State.SET_ASIDE
    admin_client.post(page, {**chosen, "post": "yes"})
    one_of_each["set_aside"].refresh_from_db()
    assert receipts.state(one_of_each["set_aside"]) is receipts.State.WAITING


# --- Nobody reports ------------------------------------------------------------------------------


class Knowing(simulator.Simulator):
    """A provider that can be asked; `answers` is what it says, by attempt."""

    looks_up = True
    answers: dict[Any, EventType] = {}
    asked: list[Inquiry] = []

    @override
    def status(self, inquiry: Inquiry) -> list[ProviderEvent]:
        self.asked.append(inquiry)
        if not self.answers:
            raise ProviderError(ErrorClass.TEMPORARY, "503")
        kind = self.answers.get(inquiry.attempt_id)
        now = timezone.now()
        return (
            [ProviderEvent(kind, now, f"{inquiry.ref}-{kind}", inquiry.attempt_id)] if kind else []
        )


@pytest.fixture
def _knowing(settings: Any) -> None:
    entry = {**settings.PROVIDERS["simulator"], "CLASS": f"{__name__}.Knowing"}
    settings.PROVIDERS = {**settings.PROVIDERS, "knowing": entry}
    Knowing.answers, Knowing.asked = {}, []


def old(age: timedelta, **row: Any) -> Attempt:
    """A call of then that was taken."""
    then = ids.floor(timezone.now() - age).int + new_id().int % (1 << 80)
    made: Attempt = AttemptFactory.create(id=UUID(int=then), provider_ref="ref-9", **row)
    return made


def come_to(name: str, ago: timedelta) -> None:
    """A job has looked at everything before then."""
    Progress.objects.update_or_create(name=name, defaults={"at": timezone.now() - ago})


def reasons() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("id").values_list("state", "reason"))


def test_what_nobody_reported_on_in_72_hours_stays_sent_with_that_reason() -> None:
    quiet = old(timedelta(hours=72, minutes=1))
    old(timedelta(hours=72, minutes=1), delivery__state="delivered")
    old(timedelta(hours=72, minutes=1), provider="smtp")
    old(timedelta(hours=71))
    come_to("no receipt", timedelta(hours=72, minutes=5))
    assert silence.mark() == 1
    assert reasons() == [("sent", "no receipt"), ("delivered", ""), ("sent", ""), ("sent", "")]
    tell(report(quiet.id, "delivered"))
    assert reasons()[0] == ("delivered", "")
    assert silence.mark() == 0


@pytest.mark.usefixtures("_knowing")
def test_a_provider_that_can_tell_is_asked_after_an_hour_and_once() -> None:
    old(timedelta(minutes=59), provider="knowing")
    calls = [old(timedelta(minutes=61), provider="knowing") for _ in range(2)]
    old(timedelta(minutes=61), provider="knowing", delivery__state="delivered")
    old(timedelta(minutes=61))
    come_to("look-ups", timedelta(minutes=65))
    Knowing.answers = {calls[0].id: EventType.DELIVERED, calls[1].id: EventType.SENT}
    assert silence.ask() == 2
    assert [one.attempt_id for one in Knowing.asked] == [call.id for call in calls]
    assert Knowing.asked[0].ref == "ref-9"
    assert [state for state, _ in reasons()] == ["sent", "delivered", "sent", "delivered", "sent"]
    assert silence.ask() == 0
    assert len(Knowing.asked) == 2


@pytest.mark.usefixtures("_knowing")
def test_one_that_does_not_answer_is_asked_no_more_for_now() -> None:
    for _ in range(3):
        old(timedelta(minutes=61), provider="knowing")
    come_to("look-ups", timedelta(minutes=65))
    assert silence.ask() == 0
    assert len(Knowing.asked) == 1


def test_a_job_that_begins_looks_back_a_day_and_comes_closer_with_each_run() -> None:
    assert silence.mark() == 0
    first = Progress.objects.get().at
    silence.mark()
    assert Progress.objects.get().at - first == silence.STEP * silence.STEPS
