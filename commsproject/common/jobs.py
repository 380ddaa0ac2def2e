"""The floor's periodic jobs. What may be long works for half a second at a time, as all share a thread."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.alerts import notices, rules
from commsproject.common.personal_data import retention, work
from commsproject.common.scheduler import job

SECONDS = 0.4


@job("personal data", every=timedelta(seconds=1))
def personal_data() -> None:
    """Exports and erasures that people or agents have asked for."""
    work.carry_on(SECONDS)


@job("retention", every=timedelta(seconds=10))
def let_go() -> None:
    """What is too old."""
    retention.run(SECONDS)


@job("alerts", every=timedelta(seconds=5))
def watch() -> None:
    """What rules say is wrong or well again, and who is to be told."""
    rules.evaluate()
    notices.write()
