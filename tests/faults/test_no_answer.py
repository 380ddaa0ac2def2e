"""A provider that takes a message and then says nothing that can be understood."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from django.db.models import QuerySet

from notifications.models import Attempt, Delivery, ProviderState
from notifications.states import State
from notifications.types import ErrorClass, Lane
from tests.fakes.behaviours import Answer, Garbage, Hang, Reset, failed_after_accept
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.vendors import Flow, Vendors, all_left, started
from tests.faults.world import PATIENCE, is_quiet
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("moves")

FAULTS = {
    Hang(): "read_timeout",
    Reset(): "connection_lost",
    failed_after_accept(): "500",
    Garbage(): "connection_lost",
}
"""With the code of an attempt that meets one."""


def waiting() -> QuerySet[Delivery]:
    """Those whose wait for a receipt comes to an end."""
    unknown = Delivery.objects.filter(state=State.UNKNOWN)
    return unknown.exclude(notification__priority=Lane.BULK)


def codes(addresses: Collection[str]) -> set[tuple[str, str]]:
    """Of those addresses, which SendGrid left without an answer, and how."""
    rows = Attempt.objects.filter(
        state=Attempt.State.UNKNOWN, provider="sendgrid", delivery__address__in=addresses
    )
    return set(rows.values_list("delivery__address", "code"))


def test_calls_without_an_answer(vendors: Vendors, tmp_path: Path, size: Size) -> None:
    """G7: such a call has an unknown outcome. Codes and normal messages are sent once more, by the
    next provider; messages in bulk never.

    With a fifth of the usual waits. Of six addresses four meet a fault with SendGrid. Who has met
    one asks SES for a while: each kind is first met in each lane by a worker who has seen no other.
    """
    count = int(size["messages"]) // len(Lane)
    flows = {lane: Flow(rate=0, lane=lane, prefix=f"{lane}-") for lane in Lane}
    for lane in Lane:
        for number in range(count):
            if number % 6 < len(FAULTS):
                address = f"{lane}-{number}@example.org"
                vendors.sendgrid.script.when(address, list(FAULTS)[number % 6], Answer())
    met: dict[str, str] = {}
    """Each address that met a fault for certain, and the code of its attempt."""
    with Nursery(tmp_path, **vendors.env(0.2, "sendgrid", "ses")) as nursery:
        for code in FAULTS.values():
            ProviderState.objects.all().delete()
            workers = [started(nursery, "--lane", lane) for lane in Lane]
            for flow in flows.values():
                flow.accept(1)
                met[next(reversed(flow.accepted))] = code
            eventually(lambda: codes(met) == {*met.items()}, PATIENCE)
            for worker in workers:
                worker.stop()
        for lane, flow in flows.items():
            started(nursery, "--lane", lane)
            flow.accept(count - len(FAULTS))
        eventually(lambda: all_left(vendors, *flows.values()), PATIENCE)
        eventually(lambda: not waiting().exists() and is_quiet(), PATIENCE)

    invariants.check(vendors.taken())
    assert codes(met) == {*met.items()}
    unknown = Attempt.objects.filter(state=Attempt.State.UNKNOWN)
    assert set(unknown.values_list("error_class", flat=True)) == {ErrorClass.AMBIGUOUS}
    for lane in Lane:
        of_lane = unknown.filter(delivery__notification__priority=lane)
        states = set(of_lane.values_list("delivery__state", flat=True))
        assert states == ({State.UNKNOWN} if lane is Lane.BULK else {State.SENT})
    in_bulk = [one for one in vendors.taken() if one.to in flows[Lane.BULK].accepted]
    assert len(in_bulk) == count == len({one.to for one in in_bulk})
    again = {one.to for one in vendors.taken("ses")} & met.keys()
    assert again == met.keys() - flows[Lane.BULK].accepted.keys()
    assert not Delivery.objects.exclude(state__in=[State.SENT, State.UNKNOWN]).exists()
