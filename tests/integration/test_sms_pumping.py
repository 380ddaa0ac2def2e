"""Ten thousand numbers that pay whoever has codes sent to them: what goes out, and what staff hear.

They are put to `guard.passed`, the last question before a call, in windows as workers open them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from commsproject.common import alerts
from commsproject.common.alerts import counts
from commsproject.common.env import Rate
from commsproject.common.limits import Grant
from commsproject.common.models import Alert
from notifications.jobs import watch_text_messages_floods
from notifications.services import guard
from notifications.services.window import CALLS
from notifications.types import Channel
from tests.engine import drain

NUMBERS = 10_000
EACH = Decimal("0.05")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _by_default(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installation is that sets no bound of its own."""
    bounds = (settings.SMS_PER_PREFIX, settings.SMS_COUNTRIES, settings.SMS_DAILY_CAP)
    assert bounds == (Rate(200, 3600), frozenset(), None)
    monkeypatch.setattr(guard, "_ledger", guard._Ledger())


def numbers(ranges: int) -> list[str]:
    """In rows: the first of each range, then the second of each."""
    return [f"+4915{at % ranges:03}{at // ranges:06}" for at in range(NUMBERS)]


def call(number: str) -> Any:
    """One, as far as the guard looks at it."""
    item = SimpleNamespace(
        channel=Channel.SMS, address=number, address_hash=number, attempts_made=0, part="DE"
    )
    way = SimpleNamespace(provider=SimpleNamespace(name="simulator"))
    outbound = [SimpleNamespace(segments=1)]
    return SimpleNamespace(items=[item], way=way, outbound=outbound, grant=Grant(1))


def order(wanted: Sequence[str]) -> Counter[str]:
    """What becomes of a code to each of them."""
    found = Counter[str]()
    for at in range(0, len(wanted), CALLS):
        refused: list[Any] = []
        stranded: list[Any] = []
        kept = guard.passed(refused, stranded, [call(one) for one in wanted[at : at + CALLS]])
        found.update(sent=len(kept), refused=len(refused), waits=len(stranded))
    return +found


def flood() -> Alert | None:
    """The alert, once the jobs have run."""
    counts.fold()
    watch_text_messages_floods()
    return alerts.standing().filter(key=guard.FLOOD).first()


def test_in_one_range_two_hundred_go_out_and_others_notice_nothing() -> None:
    assert order(numbers(1)) == {"sent": 200, "refused": 9_800}
    assert order([f"+4917{at:09}" for at in range(100)]) == {"sent": 100}

    alert = flood()
    assert alert is not None
    assert alert.severity == alerts.Severity.CRITICAL
    assert alert.title == "9,800 text messages to numbers that begin alike were refused"
    assert alert.detail.startswith("In the last hour: 9,800 to +4915000*. Who is paid")
    for setting in ("SMS_COUNTRIES", "SMS_DAILY_CAP", "SMS_PER_PREFIX"):
        assert setting in alert.detail


def test_it_is_told_once_while_it_lasts_and_is_over_an_hour_after_the_last(settings: Any) -> None:
    settings.SMS_PER_PREFIX = Rate(1, 3600)
    assert flood() is None
    first, *rest = numbers(1)[:300]
    assert order([first]) == {"sent": 1}
    assert flood() is None
    for one in rest[:3]:
        order([one])
        assert flood() is not None
    (alert,) = Alert.objects.all()
    assert alert.title.startswith("3 text messages")
    with time_machine.travel(timezone.now() + timedelta(minutes=59)):
        assert flood() == alert
    with time_machine.travel(timezone.now() + timedelta(minutes=62)):
        assert flood() is None
        alert.refresh_from_db()
        assert alert.resolved_at is not None


def test_over_many_ranges_each_lets_its_own_through_and_the_worst_are_named() -> None:
    assert order(numbers(25)) == {"sent": 25 * 200, "refused": 25 * 200}
    alert = flood()
    assert alert is not None
    assert alert.title.startswith("5,000 text messages")
    assert "and 15 more. Who is paid" in alert.detail
    assert len(alert.detail) < 1000

    order([f"+4915024{at:06}" for at in range(1_000, 1_100)])
    worst = flood()
    assert worst is not None
    assert worst.id == alert.id
    assert worst.detail.startswith("In the last hour: 300 to +4915024*, 200 to +4915")


def test_thin_over_a_hundred_ranges_only_the_days_money_ends_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert order(numbers(100)) == {"sent": NUMBERS}
    assert flood() is None

    sent = 0
    monkeypatch.setattr(guard, "spent", lambda _now: sent * EACH)
    settings.SMS_PRICES, settings.SMS_DAILY_CAP = {"*": EACH}, 500 * EACH
    for at in range(0, 2_000, CALLS):
        sent += order([f"+4916{one % 100:03}{one:06}" for one in range(at, at + CALLS)])["sent"]
    assert sent == 500
    guard.watch()
    told = set(alerts.standing().values_list("key", "severity"))
    assert told == {("sms.spent.80%", "warning"), ("sms.spent.100%", "critical")}


def test_what_the_engine_refuses_is_what_the_alert_counts(settings: Any, api: Any) -> None:
    settings.SMS_PER_PREFIX = Rate(4, 3600)
    for at in range(7):
        body = {"to": {"phone": f"+4915112345{at:03}"}, "content": {"text": "Your code is 1234"}}
        assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    drain()
    alert = flood()
    assert alert is not None
    assert alert.detail.startswith("In the last hour: 3 to +4915112*. Who is paid")


@pytest.mark.parametrize(
    ("number", "prefix"),
    [
        ("+4915112345678", "4915112"),
        ("+14155550123", "1415555"),
        ("+4791234567", "4791234"),  # ten digits
        ("+35321234", "35321"),
        ("+6834002", "6834"),
    ],
)
def test_a_prefix_is_that_of_a_thousand_numbers_at_least(number: str, prefix: str) -> None:
    assert guard._prefix(number) == prefix
