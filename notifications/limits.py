"""Which limits a call to a provider is under, and the leave to make it.

A window asks once for each provider, after it has decided what to send and before it writes the
attempts down:

    grant = limits.lease(provider="ses", channel=lease.channel, lane=lease.lane, wanted=120,
                         state=the ProviderState that was read, or None)

It may send `grant.granted` of them, each call to begin while `grant.is_usable`; what it does not
send it gives back: `give_back(grant, unused)`. The refused wait at least `grant.wait` seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from commsproject.common import ids
from commsproject.common.limits import Bucket, Grant, RetryBudget, Standing, give_back, look, take
from notifications.models import Attempt, ProviderState
from notifications.types import Channel, Lane

__all__ = [
    "RETRY_SHARE",
    "Grant",
    "Limit",
    "channel_limit",
    "earn",
    "give_back",
    "lease",
    "provider_limit",
    "spend",
    "standing",
    "state",
    "unspend",
]

CALLS, RECIPIENTS = "calls", "recipients"

RETRY_SHARE = RetryBudget.share
"""Of the first calls of the last minute, the part that may be repeated."""

MOST = 1_000_000_000
"""The largest count of a limit."""

LAST = 0.3
"""The part of every bucket that `bulk` leaves to the other lanes."""

LAG = 0.125
LEAST_LAG = 0.25
"""A call is made within this part of the limit's time after its lease, or these seconds."""


@dataclass(frozen=True)
class Limit:
    """At most `count` calls, or recipients, in any `seconds`."""

    count: int
    seconds: float
    unit: str = RECIPIENTS


def provider_limit(name: str, state: ProviderState | None) -> Limit | None:
    """What staff set in the provider's row `state`; else what the vendor itself said, where the
    environment says nothing; else what the settings say. None: no limit.
    """
    provider: Mapping[str, Any] = settings.PROVIDERS.get(name, {})
    entry: Mapping[str, Any] | None = provider.get("LIMIT")
    unit = entry["UNIT"] if entry else RECIPIENTS
    if state is not None and state.limit_count and state.limit_seconds:
        return Limit(state.limit_count, state.limit_seconds, unit)
    if state is not None and state.quota_per_second and provider.get("LIMIT_BY_VENDOR"):
        return _in_whole(state.quota_per_second, unit)
    return Limit(entry["COUNT"], entry["SECONDS"], unit) if entry else None


def _in_whole(per_second: float, unit: str) -> Limit:
    """A rate as a count: of seconds that hold one, where it is less than one a second."""
    count = min(max(int(per_second), 1), MOST)
    return Limit(count, max(1 / per_second, 1.0), unit)


def channel_limit(channel: str) -> Limit | None:
    """Messages of `channel`, by all providers together."""
    rate = settings.CHANNEL_LIMITS.get(channel)
    return Limit(rate.count, rate.seconds) if rate else None


def lease(
    *,
    provider: str,
    channel: str,
    lane: str,
    wanted: int,
    state: ProviderState | None = None,
    batch_limit: int = 1,
    batch: UUID | None = None,
    pace: float | None = None,
) -> Grant:
    """Leave to send up to `wanted` messages by `provider` now.

    `batch_limit`: how many of them one call will carry; matters where the vendor counts calls.
    `batch` and `pace` (messages a second): of a batch that is to go out no faster.
    One round trip to Valkey, none where nothing is limited; no query but after Valkey was away.
    """
    found: list[Bucket | None] = [
        _provider_bucket(provider, state, lane, batch_limit),
        _channel_bucket(channel, lane),
        Bucket(f"batch:{batch}", *_paced(pace), line="batch") if batch and pace else None,
    ]
    return take([bucket for bucket in found if bucket], wanted)


def earn(provider: str, calls: int) -> None:
    """Note `calls` first calls: a fifth of them may be repeated."""
    RetryBudget(provider).earn(calls)


def spend(provider: str, wanted: int) -> int:
    """How many of `wanted` calls may be repeated now: a fifth of the first calls of the last
    minute, and one a second beside.
    """
    return RetryBudget(provider).spend(wanted)


def unspend(provider: str, calls: int) -> None:
    """Return leave to repeat `calls` calls that were not made: as good as if so much more had been
    earned.
    """
    if calls:
        earn(provider, round(calls / RETRY_SHARE))


def standing(row: ProviderState) -> Standing | None:
    """How the bucket of one provider stands; None where it has no limit."""
    bucket = _provider_bucket(row.name, row, Lane.NORMAL, 1)
    return look([bucket])[0] if bucket else None


def state(rows: Iterable[ProviderState]) -> list[Standing]:
    """How every bucket of a provider or channel stands; `rows` are all the providers' rows."""
    known = {row.name: row for row in rows}
    found = [
        *(_provider_bucket(name, known.get(name), Lane.NORMAL, 1) for name in settings.PROVIDERS),
        *(_channel_bucket(channel, Lane.NORMAL) for channel in Channel.values),
    ]
    return look([bucket for bucket in found if bucket])


def _provider_bucket(
    name: str, state: ProviderState | None, lane: str, batch_limit: int
) -> Bucket | None:
    limit = provider_limit(name, state)
    if limit is None:
        return None
    per = batch_limit if limit.unit == CALLS else 1
    return _bucket(f"provider:{name}", limit, lane, partial(_called, name, per), per)


def _channel_bucket(channel: str, lane: str) -> Bucket | None:
    limit = channel_limit(channel)
    if limit is None:
        return None
    return _bucket(f"channel:{channel}", limit, lane, partial(_carried, channel))


def _bucket(
    name: str, limit: Limit, lane: str, observe: Callable[[float], int], per: int = 1
) -> Bucket:
    is_bulk = lane == Lane.BULK
    return Bucket(
        name,
        limit.count,
        limit.seconds,
        lag=max(limit.seconds * LAG, LEAST_LAG),
        per=per,
        reserve=LAST if is_bulk else 0.0,
        line="bulk" if is_bulk else "first",
        observe=observe,
    )


def _paced(pace: float) -> tuple[int, float]:
    """A pace as a count in about two seconds: chunks of a second's worth fall due one after the
    other, and one that is a little late must not find the next one's leave gone with its own.
    """
    count = max(2, math.ceil(2 * pace))
    return count, count / pace


def _called(provider: str, per: int, seconds: float) -> int:
    """Calls of the last `seconds` as the attempts tell; `per` of one piece of work are one call."""
    rows = Attempt.objects.filter(id__gte=_since(seconds), provider=provider)
    by_claim = rows.order_by().values("work_id", "token").annotate(count=Count("id"))
    return sum(-(-row["count"] // per) for row in by_claim)


def _carried(channel: str, seconds: float) -> int:
    return Attempt.objects.filter(id__gte=_since(seconds), delivery__channel=channel).count()


def _since(seconds: float) -> UUID:
    return ids.floor(timezone.now() - timedelta(seconds=seconds))
