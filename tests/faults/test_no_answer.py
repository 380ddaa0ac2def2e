"""A provider that takes a message and then says nothing that can be understood."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from django.db.models import QuerySet

from notifications.models import Attempt, Delivery
from notifications.states import State
from notifications.types import ErrorClass, Lane
from tests.fakes.behaviours import Answer, HalfBody, Hang, Reset, failed_after_accept
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.vendors import Flow, Vendors, all_left, at_work
from tests.faults.world import PATIENCE, is_quiet
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("moves")

FAULTS = (Hang(), Reset(), failed_after_accept(), HalfBody())


def waiting() -> QuerySet[Delivery]:
    """Those whose wait for a receipt comes to an end."""
    unknown = Delivery.objects.filter(state=State.UNKNOWN)
    return unknown.exclude(notification__priority=Lane.BULK)


def test_calls_without_an_answer(vendors: Vendors, tmp_path: Path, size: Size) -> None:
    """G7: such a call has an unknown outcome. Codes and normal messages are sent once more, by the
    next provider; messages in bulk never.

    With a tenth of the usual waits. Of six addresses four meet a fault with SendGrid. Each lane has
    workers of its own: who has met a few faults asks SES.
    """
    count = int(size["messages"]) // len(Lane)
    flows = {lane: Flow(rate=0, lane=lane, prefix=f"{lane}-") for lane in Lane}
    for lane in Lane:
        for number in range(count):
            if number % 6 < len(FAULTS):
                address = f"{lane}-{number}@example.org"
                vendors.sendgrid.script.when(address, FAULTS[number % 6], Answer())
    for lane, flow in flows.items():
        flow.accept(count)
        logs = tmp_path / lane
        logs.mkdir()
        with at_work(logs, vendors.env(0.1, "sendgrid", "ses")):
            eventually(partial(all_left, vendors, flow), PATIENCE)
            eventually(lambda: not waiting().exists() and is_quiet(), PATIENCE)

    invariants.check(vendors.taken())
    unknown = Attempt.objects.filter(state=Attempt.State.UNKNOWN)
    assert set(unknown.values_list("error_class", flat=True)) == {ErrorClass.AMBIGUOUS}
    for lane in Lane:
        of_lane = unknown.filter(delivery__notification__priority=lane)
        assert of_lane.exists(), "no call met a fault"  # how many is a matter of who was asked
        states = set(of_lane.values_list("delivery__state", flat=True))
        assert states == ({State.UNKNOWN} if lane is Lane.BULK else {State.SENT})
    in_bulk = [one for one in vendors.taken() if one.to in flows[Lane.BULK].accepted]
    assert len(in_bulk) == count == len({one.to for one in in_bulk})
    assert not Delivery.objects.exclude(state__in=[State.SENT, State.UNKNOWN]).exists()
