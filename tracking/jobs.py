"""Tracking's periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from tracking import queue
from tracking.services import engagement, events_out, folding, inbound, ingest, silence


@job("ingest webhooks", every=timedelta(seconds=1))
def ingest_webhooks() -> None:
    """What no ring announced."""
    ingest.run()


@job("unmatched opt-outs", every=timedelta(minutes=1))
def watch_opt_outs() -> None:
    """Somebody asked to stop from what is no number."""
    inbound.watch()


@job("opens and clicks", every=timedelta(seconds=2))
def opens_and_clicks() -> None:
    """What our own links and image told of."""
    engagement.run()


@job("note silence", every=timedelta(minutes=1))
def note_silence() -> None:
    """What was sent three days ago and nobody has reported on."""
    silence.mark()


@job("ask about silence", every=timedelta(minutes=1))
def ask_about_silence() -> None:
    """By a worker: a provider that hangs must not hold up the other jobs."""
    queue.ring_for_answers()


@job("fold analytics", every=timedelta(seconds=3))
def fold_analytics() -> None:
    """What happened to messages since."""
    folding.fold()


@job("forget analytics", every=timedelta(days=1))
def forget_analytics() -> None:
    """What is too old to be asked for."""
    folding.forget()


@job("watch events out", every=timedelta(seconds=10))
def watch_events_out() -> None:
    """Whether the broker takes them."""
    events_out.watch()
