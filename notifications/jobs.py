"""The engine's periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from notifications.providers.simulator import post_receipts
from notifications.services import (
    accounts,
    announcements,
    balance,
    batches,
    bounce_rates,
    bulk,
    devices,
    guard,
    inbox,
    metrics,
    schedule,
)


@job("simulator receipts", every=timedelta(seconds=1))
def simulator_receipts() -> None:
    """What the simulator could not post when it was due."""
    post_receipts()


@job("sample queues", every=metrics.MINUTE)
def sample_queues() -> None:
    """How each lane stands, for the charts."""
    metrics.sample()


@job("schedules", every=timedelta(seconds=1))
def schedules() -> None:
    """The runs of schedules that are due."""
    schedule.run_due()


@job("fold batch counts", every=timedelta(seconds=2))
def fold_batch_counts() -> None:
    """What became of each batch's deliveries since."""
    batches.fold_counts()


@job("tend batches", every=timedelta(seconds=2))
def tend_batches() -> None:
    """Canaries that can be judged, batches that are done."""
    batches.tend()


@job("abort dead uploads", every=timedelta(seconds=10))
def abort_dead_uploads() -> None:
    """Batches whose upload nobody carries on."""
    bulk.abort_dead()


@job("remove unseen devices", every=timedelta(days=1))
def remove_unseen_devices() -> None:
    """Those whose app nobody has opened for most of a year."""
    devices.remove_unseen()


@job("tend announcements", every=timedelta(seconds=1))
def tend_announcements() -> None:
    """Those whose time has come go live, those whose time is over end."""
    announcements.tend()


@job("tend inboxes", every=timedelta(seconds=1))
def tend_inboxes() -> None:
    """What was snoozed comes back, what expired goes."""
    inbox.tend()


@job("poll quotas", every=timedelta(minutes=10))
def poll_quotas() -> None:
    """What each vendor lets us send."""
    accounts.poll()


@job("balance providers", every=timedelta(seconds=20))
def balance_providers() -> None:
    """Weight moves away from those that fail or are slow, and back."""
    balance.run()


@job("watch text messages' money", every=timedelta(seconds=30))
def watch_text_messages_money() -> None:
    """Alerts when the day's money is nearly spent, and when it is."""
    guard.watch()


@job("watch text messages' floods", every=timedelta(seconds=30))
def watch_text_messages_floods() -> None:
    """An alert while more is ordered to numbers that begin alike than is let through."""
    guard.watch_floods()


@job("watch bounce rates", every=timedelta(minutes=1))
def watch_bounce_rates() -> None:
    """A category of which too much bounces or is complained about pauses."""
    bounce_rates.tend()
