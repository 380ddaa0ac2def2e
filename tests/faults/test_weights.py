"""Shares of two providers as the vendors see them: while all is well, in trouble, and after it."""

from __future__ import annotations

import math
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifications import shares
from notifications.models import Attempt, ProviderChange, ProviderState
from notifications.services import balance
from notifications.states import State
from tests.fakes.behaviours import Status
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.vendors import Flow, Vendors, all_left, at_work, ends
from tests.faults.world import PATIENCE, is_quiet
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("moves")

WEIGHTS = {"sendgrid": 70, "postmark": 30}

PIECE = 100


def send(vendors: Vendors, flow: Flow, count: int) -> set[str]:
    """Have so many messages taken, some at a time; their addresses."""
    had = len(flow.accepted)
    while (sent := len(flow.accepted) - had) < count:
        flow.accept(min(PIECE, count - sent))
        eventually(lambda: vendors.count() >= len(flow.accepted) - 5 * PIECE, PATIENCE)
    eventually(lambda: all_left(vendors, flow), PATIENCE)
    return set(list(flow.accepted)[had:])


def share(vendors: Vendors, vendor: str, addresses: set[str]) -> float:
    """The part of them that went by that vendor."""
    found = sum(one.to in addresses for one in vendors.taken(vendor)) / len(addresses)
    sys.stdout.write(f"{found:.3f} of {len(addresses)} by {vendor}\n")
    return found


def expected(health: int) -> float:
    """SendGrid's part at that health."""
    weight = WEIGHTS["sendgrid"] * health / 100
    return weight / (weight + WEIGHTS["postmark"])


def health() -> int:
    balance.run()
    return ProviderState.objects.get(name="sendgrid").health


def failures() -> Counter[str]:
    """By vendor, of this test. Only SendGrid is told to refuse: what else there is, is printed."""
    failed = Attempt.objects.filter(state__in=["failed", "unknown"])
    failed = failed.exclude(
        code__in=["halted", "lease_lost", "process_lost"]
    )  # no vendor's trouble
    found = list(failed.values_list("provider", "code"))
    sys.stdout.write(f"{Counter(found)}\n")
    return Counter(provider for provider, _ in found)


def is_closed() -> bool:
    return ProviderState.objects.get(name="sendgrid").breaker == ProviderState.Breaker.CLOSED


def near(part: float, count: int) -> Any:
    """Six standard deviations of so many draws: of 10,000 not three points."""
    return pytest.approx(part, abs=6 * math.sqrt(part * (1 - part) / count))


def test_weights(
    vendors: Vendors, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """70 to 30. While one refuses everything the other takes all; then its share comes back.

    The scheduler's look at the providers is taken here, each second as it were a minute: the times
    of `shares` are shortened in this process, which no worker reads. The trouble of the last minute
    is what happened since the test began, so its healing waits until that is forgotten.
    """
    for name, weight in WEIGHTS.items():
        ProviderState.objects.create(name=name, weight=weight)
    flow = Flow(rate=0)
    # Nothing hangs here; beside other work the fakes must not pass for slow, and be left alone.
    with at_work(tmp_path, vendors.env(10, *WEIGHTS)):
        addresses = send(vendors, flow, int(size["messages"]))
        assert share(vendors, "sendgrid", addresses) == near(0.7, len(addresses))

        vendors.sendgrid.script.always(Status(503))
        addresses = send(vendors, flow, int(size["trouble"]))
        assert share(vendors, "postmark", addresses) == 1.0
        assert not is_closed()
        monkeypatch.setattr(shares, "AFTER_ERRORS", timedelta(0))
        monkeypatch.setattr(shares, "FEW", 5)
        monkeypatch.setattr(shares, "ERRORS", failures()["sendgrid"])
        for worse in (90, 80, 70):
            assert health() == worse
        monkeypatch.setattr(shares, "AFTER_ERRORS", timedelta(minutes=1))

        vendors.sendgrid.script.reset()
        eventually(lambda: bool(send(vendors, flow, 2)) and is_closed(), PATIENCE)
        addresses = send(vendors, flow, int(size["messages"]) // 2)
        assert share(vendors, "sendgrid", addresses) == near(expected(70), len(addresses))

        monkeypatch.setattr(shares, "ERRORS_IN", timedelta(milliseconds=1))
        monkeypatch.setattr(shares, "HEAL", timedelta(0))
        for better in (80, 90, 100, 100):
            assert health() == better
        addresses = send(vendors, flow, int(size["messages"]) // 2)
        assert share(vendors, "sendgrid", addresses) == near(0.7, len(addresses))
        eventually(is_quiet, PATIENCE)

    told = ProviderChange.objects.filter(provider="sendgrid").order_by("at")
    steps = [(one.was, one.now) for one in told if one.now.startswith("health")]
    assert [now for _, now in steps] == [f"health {to} %" for to in (90, 80, 70, 80, 90, 100)]
    assert all(one.reason for one in told)
    invariants.check(vendors.taken())
    assert ends() == {State.SENT}
