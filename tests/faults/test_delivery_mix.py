"""How many messages to valid addresses leave in a minute while one call in ten goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from notifications.models import Attempt
from notifications.types import Channel
from tests.fakes.behaviours import Behaviour, Hang, Status, failed_after_accept, throttled
from tests.fakes.mix import Mix
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.vendors import Flow, Vendors, all_left, at_work, run
from tests.faults.world import PATIENCE, all_ended, tell
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("moves")

FAULTS: Sequence[tuple[float, Behaviour]] = [
    (0.025, Status(503)),
    (0.025, throttled(1)),
    (0.025, failed_after_accept()),
    (0.025, Hang()),
]

SEEDS = (2, 3, 11, 9)
"""Of which each has every fault among its first 40 lots."""

WITHIN = 60.0

AT_LEAST = {Channel.EMAIL: 0.995, Channel.SMS: 0.98}


@pytest.mark.parametrize(
    "names", [("sendgrid", "ses", "twilio", "aws_sms"), ("sendgrid", "twilio")], ids=["two", "one"]
)
def test_valid_addresses_are_reached(
    vendors: Vendors,
    tmp_path: Path,
    size: Size,
    within: Callable[[float], float],
    names: Sequence[str],
) -> None:
    """By two providers on each channel, or by one alone. Short: with a tenth of the usual waits."""
    flows = [
        Flow(size["email"]),
        Flow(size["sms"], channel=Channel.SMS, prefix="+4915112"),
    ]
    fakes = [vendors.sendgrid, vendors.ses, vendors.twilio, vendors.aws_sms]
    for seed, fake in zip(SEEDS, fakes, strict=True):
        fake.script = Mix(seed, FAULTS)
    with at_work(tmp_path, vendors.env(size["times"], *names)):
        run(size["seconds"], *flows)
        eventually(lambda: all_left(vendors, *flows), PATIENCE)
        eventually(all_ended, PATIENCE)

    invariants.check(vendors.taken())
    assert set(Attempt.objects.values_list("provider", flat=True)) == set(names)
    faulty = Attempt.objects.exclude(state=Attempt.State.ACCEPTED).values_list("state", flat=True)
    assert set(faulty) >= {"failed", "throttled", "unknown"}
    for flow in flows:
        delays = flow.delays(vendors)
        tell(f"{flow.channel} by {names}", delays)
        reached = sum(delay <= within(WITHIN) for delay in delays) / len(delays)
        sys.stdout.write(f"{reached:.2%} within {WITHIN:g} s\n")
        assert reached >= AT_LEAST[flow.channel]
