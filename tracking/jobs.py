"""Tracking's periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from tracking.services import inbound, ingest


@job("ingest webhooks", every=timedelta(seconds=1))
def ingest_webhooks() -> None:
    """What no ring announced."""
    ingest.run()


@job("unmatched opt-outs", every=timedelta(minutes=1))
def watch_opt_outs() -> None:
    """Somebody asked to stop from what is no number."""
    inbound.watch()
