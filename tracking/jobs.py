"""Tracking's periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from tracking.services import ingest


@job("ingest webhooks", every=timedelta(seconds=1))
def ingest_webhooks() -> None:
    """What no ring announced."""
    ingest.run()
