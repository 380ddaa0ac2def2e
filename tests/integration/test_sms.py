"""Text messages through the engine: what they are cut to, what they cost, and who may get them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import alerts, clock, ids, valkey
from commsproject.common.env import Rate
from commsproject.common.models import Alert
from notifications import addresses
from notifications.jobs import watch_text_messages_money
from notifications.models import (
    Attempt,
    Category,
    DeadLetter,
    Delivery,
    Event,
    Notification,
    SimulatedMessage,
    Work,
)
from notifications.services import guard
from notifications.states import State
from notifications.types import Channel
from tests.engine import drain, make_everything_due
from tests.factories import (
    AttemptFactory,
    CategoryFactory,
    DeadLetterFactory,
    NotificationFactory,
    TemplateFactory,
    TemplateVersionFactory,
)
from tests.fakes.proxy import TcpProxy

URL = "/api/v1/notifications"
ADA = "+4915112345678"
PRICES = {"DE": Decimal("0.075"), "*": Decimal("0.05")}
LongText = Category.LongText


@pytest.fixture(autouse=True)
def _nothing_spent_yet() -> None:
    guard._ledger = guard._Ledger()


def body(text: str = "Your code is 1234", to: str = ADA, **fields: Any) -> dict[str, Any]:
    return {"to": {"phone": to}, "content": {"text": text}, **fields}


def post(api: APIClient, text: str = "Your code is 1234", to: str = ADA, **fields: Any) -> str:
    answer = api.post(URL, body(text, to, **fields), format="json")
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


def delivery_of(api: APIClient, notification_id: str) -> dict[str, Any]:
    (found,) = api.get(f"{URL}/{notification_id}").json()["deliveries"]
    return dict(found)


def story(api: APIClient, notification_id: str) -> tuple[str, str, int]:
    found = delivery_of(api, notification_id)
    return found["status"], found["reason"], len(found["attempts"])


def category(rule: LongText) -> str:
    return CategoryFactory.create(key=f"texts-{rule.value}", long_text=rule).key


# --- Segments ----------------------------------------------------------------------------------

pytestmark = pytest.mark.django_db


def test_segments_and_cost_are_kept_with_the_attempt(api, settings):
    settings.SMS_PRICES = PRICES
    notification = post(api, "a" * 161)
    drain()
    (attempt,) = delivery_of(api, notification)["attempts"]
    assert (attempt["segments"], attempt["cost"]) == (2, "0.15000")
    assert SimulatedMessage.objects.get().parts == {"text": "a" * 161}


def test_where_no_price_is_known_there_is_no_cost(api):
    notification = post(api)
    drain()
    (attempt,) = delivery_of(api, notification)["attempts"]
    assert (attempt["segments"], attempt["cost"]) == (1, None)


def test_an_email_has_neither(api, settings):
    settings.SMS_PRICES = PRICES
    message = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hi", "text": "Hi"}}
    notification = api.post(URL, message, format="json").json()["id"]
    drain()
    (attempt,) = delivery_of(api, notification)["attempts"]
    assert (attempt["segments"], attempt["cost"]) == (None, None)


def test_look_alikes_leave_as_what_they_look_like(api):
    post(api, "It\u2019s \u201chere\u201d\u2026")
    drain()
    assert SimulatedMessage.objects.get().parts == {"text": 'It\'s "here"...'}


def test_a_category_cuts_its_texts_to_one_segment(api):
    notification = post(api, "a" * 400, category=category(LongText.TRUNCATE))
    drain()
    assert SimulatedMessage.objects.get().parts == {"text": "a" * 157 + "..."}
    assert delivery_of(api, notification)["attempts"][0]["segments"] == 1


@pytest.mark.parametrize(
    ("rule", "text", "segments", "most"),
    [(LongText.REFUSE, "a" * 161, 2, 1), (LongText.SPLIT, "a" * 1531, 11, 10)],
)
def test_a_text_that_is_too_long_is_refused_with_its_segments(api, rule, text, segments, most):
    answer = api.post(URL, body(text, category=category(rule)), format="json")
    assert answer.status_code == 422
    problem = answer.json()
    sentence = f"The text takes {segments} segments; {most} are allowed."
    assert (problem["code"], problem["detail"]) == ("text_too_long", sentence)
    assert problem["errors"] == [
        {"field": "content.text", "code": "text_too_long", "message": sentence}
    ]
    assert not Notification.objects.exists()


def test_without_a_category_a_text_may_take_ten_segments(api):
    assert api.post(URL, body("a" * 1530), format="json").status_code == 202
    assert api.post(URL, body("a" * 1531), format="json").status_code == 422


def test_data_that_make_a_text_too_long_are_named(api):
    key = category(LongText.REFUSE)
    message = body("Hello {{ name }}", category=key, data={"name": "x" * 200})
    answer = api.post(URL, message, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "data")
    message["data"] = {"name": "Ada"}
    assert api.post(URL, message, format="json").status_code == 202


def test_an_email_may_be_as_long_as_it_likes(api):
    message = {
        "to": {"email": "ada@simulator.test"},
        "content": {"subject": "Hi", "text": "a" * 5000},
        "category": category(LongText.REFUSE),
    }
    assert api.post(URL, message, format="json").status_code == 202


def test_rows_of_a_batch_are_refused_by_themselves(api):
    rows = [
        {"to": {"phone": ADA}, "data": {"name": "x" * 2000}},
        {"to": {"phone": ADA}, "data": {"name": "Ada"}},
    ]
    batch = {"rows": rows, "content": {"text": "Hello {{ name }}"}}
    answer = api.post("/api/v1/batches", batch, format="json")
    assert answer.status_code == 202, answer.content
    results = api.get(f"/api/v1/batches/{answer.json()['id']}/results").json()["results"]
    by_number = {result["number"]: result for result in results}
    assert [by_number[1]["status"], by_number[2]["status"]] == ["rejected", "accepted"]
    assert by_number[1]["errors"][0]["code"] == "text_too_long"


def test_a_rule_that_became_strict_since_refuses_before_the_call(api):
    key = category(LongText.SPLIT)
    notification = post(api, "a" * 200, category=key)
    Category.objects.update(long_text=LongText.REFUSE)
    drain()
    status, reason, attempts = story(api, notification)
    assert (status, attempts) == ("failed", 1)
    assert reason == "it could not be made: text_too_long"
    assert not SimulatedMessage.objects.exists()


def test_a_dry_run_says_what_it_would_take_and_cost(api, settings):
    settings.SMS_PRICES = PRICES
    answer = api.post(URL, body("a" * 161, dry_run=True), format="json")
    assert answer.status_code == 200
    (delivery,) = answer.json()["deliveries"]
    assert (delivery["segments"], delivery["cost"]) == (2, "0.150")
    settings.SMS_PRICES = {}
    (delivery,) = api.post(URL, body(dry_run=True), format="json").json()["deliveries"]
    assert (delivery["segments"], delivery["cost"]) == (1, None)
    (delivery,) = api.post(URL, body(), format="json").json()["deliveries"]
    assert not {"segments", "cost"} & delivery.keys()


def test_a_dead_letter_cannot_be_mended_to_be_too_long(api, agent):
    version = TemplateVersionFactory.create(
        template=TemplateFactory.create(), channels={"sms": {"text": "Hello {{ name }}"}}
    )
    letter = DeadLetterFactory.create(
        delivery__channel=Channel.SMS,
        delivery__address=ADA,
        delivery__notification=NotificationFactory.create(
            client=agent,
            content=None,
            template_version=version,
            data={"name": "Ada"},
            category=CategoryFactory.create(long_text=LongText.REFUSE),
        ),
    )
    url = f"/api/v1/dead-letters/{letter.id}"
    answer = api.patch(url, {"data": {"name": "x" * 200}}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "text_too_long")
    assert api.patch(url, {"data": {"name": "Eve"}}, format="json").status_code == 200
    assert DeadLetter.objects.get().data == {"name": "Eve"}


def test_staff_see_the_text_as_it_was_sent_and_what_it_cost(api, settings, client: Client):
    settings.SMS_PRICES = PRICES
    notification = post(api, "a" * 200, category=category(LongText.TRUNCATE))
    drain()
    client.force_login(User.objects.create_superuser("root", password="x"))
    page = reverse("admin:notifications_notification_change", args=[notification])
    shown = client.get(page).content.decode()
    assert "a" * 157 + "..." in shown
    assert "a" * 158 not in shown
    assert "0.07500" in shown


def test_staff_choose_what_becomes_of_long_texts(client: Client):
    client.force_login(User.objects.create_superuser("root", password="x"))
    row = CategoryFactory.create(key="codes")
    page = reverse("admin:notifications_category_change", args=[row.pk])
    form = {
        "name": "Codes",
        "kind": "essential",
        "on_unknown": "resend",
        "long_text": "refuse",
        "quiet": "ignore",
        "content_days": 90,
        "inbox_days": 90,
        "fallback": "[]",
    }
    assert client.post(page, form).status_code == 302
    apart = {**form, "fallback": '[{"channel": "email", "after": 60, "unless": "read"}]'}
    assert b"Name the channels that are tried first" in client.post(page, apart).content
    assert (
        b"Only what people ask for" in client.post(page, form | {"needs_confirmation": 1}).content
    )
    row.refresh_from_db()
    assert row.long_text == LongText.REFUSE


# --- Countries ---------------------------------------------------------------------------------


def test_only_the_countries_of_the_list_are_written_to(api, settings):
    settings.SMS_COUNTRIES = frozenset({"DE", "SE"})
    assert story(api, post(api))[:2] == ("queued", "")
    abroad = post(api, to="+33612345678")
    assert story(api, abroad) == ("suppressed", "no text messages go to FR", 0)
    nowhere = post(api, to="+881612345678")  # a satellite
    assert story(api, nowhere) == ("suppressed", "no text messages go to numbers of no country", 0)
    drain()
    assert SimulatedMessage.objects.get().address == ADA


def test_the_list_as_it_is_when_the_message_goes_out_counts(api, settings):
    notification = post(api, to="+33612345678", category=essential())
    settings.SMS_COUNTRIES = frozenset({"DE"})
    drain()
    assert story(api, notification) == ("suppressed", "no text messages go to FR", 0)
    assert Event.objects.get().type == "suppressed"


def test_no_number_that_pays_its_owner_is_written_to(api, settings):
    for number, kind in (("+19002345678", "premium-rate"), ("+491802123456", "shared-cost")):
        refused = ("suppressed", f"no text messages go to {kind} numbers", 0)
        assert story(api, post(api, to=number)) == refused
        settings.SMS_COUNTRIES = frozenset({"DE", "US"})
        assert story(api, post(api, to=number, category=essential())) == refused
    drain()
    assert not SimulatedMessage.objects.exists()


def test_the_list_is_about_telephones_only(api, settings):
    settings.SMS_COUNTRIES = frozenset({"DE"})
    message = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hi", "text": "Hi"}}
    notification = api.post(URL, message, format="json").json()["id"]
    drain()
    assert delivery_of(api, notification)["status"] == "sent"


def essential() -> str:
    return CategoryFactory.create(kind=Category.Kind.ESSENTIAL).key


# --- Pumping -----------------------------------------------------------------------------------


def states() -> Counter[str]:
    return Counter(Delivery.objects.values_list("state", flat=True))


def test_a_number_gets_so_many_and_no_more_codes_included(api, settings):
    settings.SMS_PER_NUMBER = Rate(3, 3600)
    codes = essential()
    made = [post(api, category=codes) for _ in range(5)]
    other = post(api, to="+4915112345679", category=codes)
    drain()
    assert states() == {"sent": 4, "suppressed": 2}
    assert delivery_of(api, other)["status"] == "sent"
    reasons = {story(api, one)[1] for one in made if story(api, one)[0] == "suppressed"}
    assert reasons == {"too many messages to this number: 3 in 3600 s"}
    assert Attempt.objects.count() == 4
    assert not Work.objects.exists()


def test_numbers_in_a_row_are_one_prefix(api, settings):
    settings.SMS_PER_PREFIX = Rate(4, 3600)
    made = [post(api, to=f"+49151123456{number:02}") for number in range(8)]
    other = post(api, to="+4915212345678")
    drain()
    assert states() == {"sent": 5, "suppressed": 4}
    assert delivery_of(api, other)["status"] == "sent"
    reasons = {story(api, one)[1] for one in made if story(api, one)[0] == "suppressed"}
    assert reasons == {"too many messages to numbers that begin like this: 4 in 3600 s"}


def test_what_one_number_is_refused_costs_its_neighbours_nothing(api, settings):
    settings.SMS_PER_NUMBER, settings.SMS_PER_PREFIX = Rate(1, 3600), Rate(3, 3600)
    for _ in range(10):
        post(api)
    drain()
    for number in range(3):
        post(api, to=f"+49151123450{number:02}")
    drain()
    assert states() == {"sent": 3, "suppressed": 10}


def test_a_message_is_counted_once_however_often_it_is_tried(api, settings):
    settings.SMS_PER_NUMBER = Rate(1, 3600)
    notification = post(api)
    AttemptFactory.create(
        delivery=Delivery.objects.get(),
        state=Attempt.State.FAILED,
        provider="elsewhere",
        error_class="temporary",
    )
    Delivery.objects.update(state=State.QUEUED, attempts_made=1)
    assert guard._flood(item_of(ADA)) is None  # the only token
    drain()
    assert delivery_of(api, notification)["status"] == "sent"


def test_none_switches_a_limit_off(api, settings):
    settings.SMS_PER_NUMBER = settings.SMS_PER_PREFIX = None
    for _ in range(15):
        post(api)
    drain()
    assert states() == {"sent": 15}


def test_the_limit_returns_to_who_waits(settings):
    settings.SMS_PER_NUMBER = Rate(1, 0.3)
    item = item_of(ADA)
    assert guard._flood(item) is None
    assert guard._flood(item) is not None
    given_up = timezone.now() + timedelta(seconds=10)
    while guard._flood(item) is not None:
        assert timezone.now() < given_up
        threading.Event().wait(0.05)


def item_of(number: str) -> Any:
    """A message as far as the limits look at it."""

    digest = addresses.digest(Channel.SMS, number)
    return SimpleNamespace(address=number, address_hash=digest, attempts_made=0)


def test_while_valkey_is_away_a_share_goes_out_and_the_rest_waits(api, settings, broker: TcpProxy):
    settings.SMS_PER_NUMBER, settings.LIMIT_PROCESSES = Rate(8, 3600), 4
    made = [post(api) for _ in range(3)]
    with broker.fault("refuse"):
        drain()
    assert states() == {"sent": 2, "queued": 1}
    valkey._silent_until = 0.0
    make_everything_due()
    drain()
    assert states() == {"sent": 3}
    assert all(story(api, one)[1] == "" for one in made)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_let_no_more_through(api, settings):
    settings.SMS_PER_NUMBER = Rate(10, 3600)
    for _ in range(60):
        post(api)
    together(drain, drain)
    assert states() == {"sent": 10, "suppressed": 50}
    assert SimulatedMessage.objects.count() == Attempt.objects.count() == 10


def together(*functions: Callable[[], object]) -> None:
    """Run each in a thread of its own, with a connection of its own."""
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# --- Money -------------------------------------------------------------------------------------


@pytest.fixture
def cap(settings: Any) -> None:
    """Enough for ten segments to Germany."""
    settings.SMS_PRICES, settings.SMS_DAILY_CAP = PRICES, Decimal("0.75")
    settings.SMS_PER_NUMBER = None


def next_midnight() -> datetime:
    return guard.midnight(clock.now()) + timedelta(days=1)


@pytest.mark.usefixtures("cap")
def test_beyond_the_days_money_messages_wait_for_midnight(api):
    made = [post(api) for _ in range(12)]
    drain()
    assert states() == {"sent": 10, "queued": 2}
    assert {work.due_at for work in Work.objects.all()} == {next_midnight()}
    waiting = [story(api, one) for one in made if story(api, one)[0] == "queued"]
    reason = "the day's money for text messages is spent; it waits for midnight (UTC)"
    assert waiting == [("queued", reason, 0)] * 2
    make_everything_due()
    drain()  # a worker that looks too early
    assert states() == {"sent": 10, "queued": 2}


@pytest.mark.usefixtures("cap")
def test_a_new_day_has_new_money(api):
    for _ in range(12):
        post(api)
    drain()
    yesterday()
    guard._ledger = guard._Ledger()
    make_everything_due()
    drain()
    assert states() == {"sent": 12}


def yesterday() -> None:
    """Move all calls to the day before."""
    with connection.cursor() as cursor:
        for attempt in Attempt.objects.all():
            then = guard.midnight(clock.now()) - timedelta(hours=1)
            random = attempt.id.int & ((1 << 80) - 1)
            cursor.execute(
                "UPDATE notifications_attempt SET id = %s WHERE id = %s",
                [UUID(int=ids.floor(then).int | random), attempt.id],
            )


@pytest.mark.usefixtures("cap")
def test_a_cheaper_message_still_goes_out(api):
    post(api, "a" * 1300)  # nine segments
    drain()
    long = post(api, "a" * 161)
    short = post(api)
    drain()
    assert delivery_of(api, long)["status"] == "queued"
    assert delivery_of(api, short)["status"] == "sent"


@pytest.mark.usefixtures("cap")
def test_what_has_no_price_counts_for_nothing(api, settings):
    settings.SMS_PRICES = {"FR": Decimal(1)}
    for _ in range(20):
        post(api)
    drain()
    assert states() == {"sent": 20}


def test_only_calls_that_may_cost_are_counted():
    now = clock.now()
    for state, cost in (
        (Attempt.State.ACCEPTED, "1"),
        (Attempt.State.UNKNOWN, "2"),
        (Attempt.State.CALLING, "4"),
        (Attempt.State.REJECTED, "8"),
        (Attempt.State.FAILED, "16"),
        (Attempt.State.THROTTLED, "32"),
        (Attempt.State.ACCEPTED, None),
    ):
        AttemptFactory.create(state=state, cost=cost and Decimal(cost))
    assert guard.spent(now) == Decimal(7)
    yesterday()
    assert guard.spent(now) == 0


@pytest.mark.usefixtures("cap")
def test_what_others_spent_is_asked_for_again_when_the_cap_is_near(api):
    for _ in range(8):
        post(api)
    drain()
    # Another process spends what is left, while this one still remembers what it knew.
    AttemptFactory.create(cost=Decimal("0.15"))
    notification = post(api)
    drain()
    assert delivery_of(api, notification)["status"] == "queued"


@pytest.mark.usefixtures("cap")
def test_without_a_cap_nobody_counts(api, settings, django_assert_num_queries):
    settings.SMS_DAILY_CAP = None
    clock.now()
    with django_assert_num_queries(0):
        budget = guard._Budget()
        assert budget.exceeded_by(Decimal(10**6)) is None
        budget.spend(Decimal(1))


@pytest.mark.usefixtures("cap")
def test_what_was_spent_is_remembered_for_some_seconds(django_assert_num_queries):
    AttemptFactory.create(cost=Decimal("0.15"))
    clock.now()
    with django_assert_num_queries(1):
        for _ in range(3):
            assert guard._Budget().exceeded_by(Decimal("0.6")) is None
        guard._Budget().spend(Decimal("0.15"))
        assert guard._Budget().exceeded_by(Decimal("0.6")) == next_midnight()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cap")
def test_two_workers_exceed_the_cap_by_what_is_under_way_at_most(api):
    for _ in range(60):
        post(api)
    together(drain, drain)
    sent = states()["sent"]
    assert 10 <= sent <= 20
    assert states() == {"sent": sent, "queued": 60 - sent}


def test_staff_are_told_at_four_fifths_and_at_the_end(settings):
    settings.SMS_DAILY_CAP, settings.SMS_CURRENCY = Decimal(100), "EUR"

    def told(amount: int) -> list[tuple[str, str]]:
        Attempt.objects.all().delete()
        AttemptFactory.create(cost=Decimal(amount))
        watch_text_messages_money()
        return sorted(alerts.standing().values_list("key", "severity"))

    assert told(79) == []
    assert told(80) == [("sms.spent.80%", "warning")]
    near = Alert.objects.get()
    assert near.title == "80% of the day's money for text messages are spent"
    assert near.detail.startswith("80.00 of 100.00 EUR since midnight (UTC).")
    assert told(100) == [("sms.spent.100%", "critical"), ("sms.spent.80%", "warning")]
    assert told(100) == [("sms.spent.100%", "critical"), ("sms.spent.80%", "warning")]
    assert Alert.objects.count() == 2
    assert told(0) == []
    settings.SMS_DAILY_CAP = None
    assert told(100) == []


def test_a_cap_without_prices_is_a_warning(settings):
    settings.SMS_DAILY_CAP = Decimal(100)
    (warning,) = [one for one in run_checks() if one.id == "notifications.W002"]
    assert warning.msg == "SMS_DAILY_CAP stops nothing: SMS_PRICES names no price."
    settings.SMS_PRICES = PRICES
    assert "notifications.W002" not in [one.id for one in run_checks()]


@pytest.mark.parametrize(
    ("countries", "cap", "missing"),
    [
        ({}, None, ["SMS_COUNTRIES", "SMS_DAILY_CAP"]),
        ({"DE"}, None, ["SMS_DAILY_CAP"]),
        ({}, Decimal(100), ["SMS_COUNTRIES"]),
        ({"DE"}, Decimal(100), []),
    ],
)
def test_text_messages_by_a_vendor_have_bounds_before_they_go_live(
    settings, countries, cap, missing
):
    settings.SMS_COUNTRIES, settings.SMS_DAILY_CAP = frozenset(countries), cap
    assert bounds() == []  # the simulator costs nothing
    twilio = {**settings.PROVIDERS["twilio"], "ENABLED": True}
    settings.PROVIDERS = {"twilio": twilio, "simulator": settings.PROVIDERS["simulator"]}
    assert [warning.msg.split()[0] for warning in bounds()] == missing
    assert all(warning.msg.endswith(" by twilio.") for warning in bounds())


def bounds():
    found = run_checks(include_deployment_checks=True)
    return [one for one in found if one.id == "notifications.W006"]


def test_midnight_is_that_of_utc():
    with time_machine.travel("2026-03-01T01:30:00+02:00", tick=False):
        assert guard.midnight(timezone.now()).isoformat() == "2026-02-28T00:00:00+00:00"
