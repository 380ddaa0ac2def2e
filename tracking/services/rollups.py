"""What happens to messages, counted by the hour: never by looking at messages again.

Whoever moves deliveries inserts one row with what moved, in its own transaction, so no two of them
wait for each other and no count is lost or made twice. `folding` adds those rows up into `Rollup`.

A count belongs to the hour in which it was written down, so an hour that is over stays as it is.
Counts only rise: a message that was given up, and that a late receipt proves sent, is counted as
both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from commsproject.common import clock
from commsproject.common.arrays import uuids
from notifications import addresses
from notifications.models import Attempt, Suppression
from notifications.services.complete import Outcome
from notifications.services.plan import Planned
from notifications.services.status import Applied, StatusChange
from notifications.states import State, rank
from notifications.types import Channel, ErrorClass, EventType, ProviderError, Sent
from tracking.services import histogram
from tracking.services.alike import Alike

# --- What is counted -----------------------------------------------------------------------------

HANDED, ARRIVED = "handed", "arrived"
"""Histograms of the seconds from when a message was due: until a provider took it, and until it was
delivered."""

FAILURES = {one: f"failed_{one.value}" for one in ErrorClass}
FAILED_OTHERWISE = "failed_other"
"""Given up with no provider's answer: no provider can carry it, or it cannot be rendered."""

COUNTS = (
    *("accepted", "suppressed", "expired", "cancelled"),
    *("calls", "calls_failed", "sent", "delivered", "unconfirmed", "bounced", "complained"),
    *FAILURES.values(),
    FAILED_OTHERWISE,
    *("opened", "opened_machine", "clicked", "clicked_machine", "opted_out", "segments"),
)
PLACES = {
    name: place
    for place, name in enumerate(
        (
            *COUNTS,
            *(f"{HANDED}{bucket}" for bucket in range(histogram.SIZE)),
            *(f"{ARRIVED}{bucket}" for bucket in range(histogram.SIZE)),
        )
    )
}
"""Where each count is in `Rollup.counts`. New ones go to the end, or old rows say something else."""

COST = "cost"
COST_UNIT = 100_000

_BY_END = {
    State.SUPPRESSED: "suppressed",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
    State.UNCONFIRMED: "unconfirmed",
}
_GIVEN_UP = (State.FAILED, State.DEAD)


Word = UUID | str | None


class Key(NamedTuple):
    """What messages are told apart by. Keys are made for each message, so they are made of what is
    at hand; as text only once for all that are alike.
    """

    channel: str
    provider: str = ""
    client: Word = None
    batch: Word = None
    category: Word = None
    version: Word = None
    variant: Word = None
    country: str = ""

    def as_text(self) -> str:
        return "|".join("" if word is None else str(word) for word in self)

    @classmethod
    def of_text(cls, text: str) -> Key:
        channel, provider, *ids, country = text.split("|")
        client, batch, category, version, variant = (word or None for word in ids)
        return cls(channel, provider, client, batch, category, version, variant, country)


def _country(channel: str, address: str) -> str:
    """Empty also where the number has been erased: receipts may come later than that."""
    return addresses.country(address) if channel == Channel.SMS and address else ""


@dataclass
class _Counted:
    """What one transaction adds."""

    groups: defaultdict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def write(self) -> None:
        groups = {key.as_text(): counts for key, counts in self.groups.items() if counts}
        if groups:
            with connection.cursor() as cursor:
                cursor.execute(_NOTE, [_hour(clock.now()), orjson.dumps(groups).decode()])


_NOTE = "INSERT INTO tracking_rollupdelta (id, hour, groups) VALUES (uuidv7(), %s, %s::jsonb)"


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


# --- From what the engine tells ------------------------------------------------------------------


# Keys hold UUIDs, whose hash costs as much as all the rest: what is alike is found by cheaper marks
# first, and counted together (measured).


def accepted(planned: Sequence[Planned]) -> None:
    """Messages are stored: one for each channel of each."""
    alike: Counter[tuple[int, Channel, str]] = Counter()
    shared = {id(message.shared): message.shared for message in planned}
    for message in planned:
        mark = id(message.shared)
        for one in message.deliveries:
            alike[mark, one.channel, _country(one.channel, one.address)] += 1
    counted = _Counted()
    for (mark, channel, country), count in alike.items():
        common = shared[mark]
        key = Key(
            channel.value,
            "",
            common.client.id,
            common.batch_id,
            common.category.id if common.category else None,
            common.version.id if common.version else None,
            common.variant_id,
            country,
        )
        counted.groups[key]["accepted"] += count
    counted.write()


class _Change(NamedTuple):
    """A delivery's way from state to state: equal ones are counted together. `handed` is a bucket;
    `is_called`: a provider was, and answered with `error`, or well.
    """

    was: str
    now: str
    handed: int
    is_called: bool = False
    error: ErrorClass | None = None


def changed(
    changes: Sequence[StatusChange], outcomes: Sequence[Outcome], groups: Iterable[Alike]
) -> None:
    """Deliveries are in new states. `groups` are the `outcomes` of the window that brought it
    about, if one did: it has all changes then.
    """
    counted = _Counted()
    for sample, bucket, count in groups:
        _count(counted.groups[_key(sample)], _of_outcome(sample, bucket), count)
    _count_billed(counted, outcomes)
    if not outcomes:
        _count_others(counted, {change.delivery_id: change for change in changes})
    counted.write()


def _key(outcome: Outcome) -> Key:
    item = outcome.item
    return Key(
        item.channel.value,
        outcome.provider,
        item.lease.client_id,
        item.lease.batch_id,
        item.category_id,
        item.version_id,
        item.variant_id,
        item.part if item.channel is Channel.SMS else "",
    )


def _of_outcome(outcome: Outcome, bucket: int) -> _Change:
    answer = outcome.answer
    error = answer.error_class if isinstance(answer, ProviderError) else None
    is_called = outcome.attempt is not None and answer is not None
    if outcome.now == outcome.was:
        return _Change("", "", 0, is_called, error)
    return _Change(outcome.was, outcome.now, bucket, is_called, error)


def _count(counts: Counter[str], change: _Change, count: int) -> None:
    """What so many deliveries that changed alike add."""
    if change.is_called:
        counts["calls"] += count
        if change.error is not None:
            counts["calls_failed"] += count
    if not change.now:
        return
    now = State(change.now)
    if now in _GIVEN_UP:
        counts[FAILURES[change.error] if change.error else FAILED_OTHERWISE] += count
    elif name := _BY_END.get(now):
        counts[name] += count
    if rank(now) >= 0 and (not change.was or rank(State(change.was)) < 0):
        counts["sent"] += count
        counts[f"{HANDED}{change.handed}"] += count
    if change.is_called and now is State.DELIVERED:  # by a provider that has nobody behind it
        counts["delivered"] += count
        counts[f"{ARRIVED}{change.handed}"] += count


def _count_billed(counted: _Counted, outcomes: Sequence[Outcome]) -> None:
    """Segments and money of the text messages that a provider has taken."""
    taken = {
        outcome.attempt: outcome
        for outcome in outcomes
        if outcome.item.channel is Channel.SMS and isinstance(outcome.answer, Sent)
    }
    if taken:
        attempts = Attempt.objects.filter(id__in=list(taken), segments__isnull=False)
        for id_, segments, cost in attempts.values_list("id", "segments", "cost"):
            counts = counted.groups[_key(taken[id_])]
            counts["segments"] += segments or 0
            counts[COST] += int((cost or 0) * COST_UNIT)


_OTHERS = """
SELECT delivery.id, delivery.channel, delivery.provider, notification.client_id,
       notification.batch_id, notification.category_id, notification.template_version_id,
       notification.variant_id, delivery.address,
       extract(epoch FROM greatest(delivery.created_at, notification.send_at))::float8,
       (SELECT extract(epoch FROM max(started_at))::float8 FROM notifications_attempt AS call
        WHERE call.delivery_id = delivery.id),
       (SELECT extract(epoch FROM min(at))::float8 FROM notifications_event AS event
        WHERE event.delivery_id = delivery.id AND event.type = 'delivered')
FROM notifications_delivery AS delivery
JOIN notifications_notification AS notification ON notification.id = delivery.notification_id
WHERE delivery.id = ANY(%s::uuid[])
"""


class _Known(NamedTuple):
    key: Key
    due: float
    called: float | None
    delivered: float | None


def _look_up(ids: Iterable[UUID]) -> dict[UUID, _Known]:
    """Of deliveries that no window has in hand."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, [uuids(ids)])
        found: dict[UUID, _Known] = {}
        for id_, channel, *words, address, due, called, delivered in cursor.fetchall():
            key = Key(channel, *words)._replace(country=_country(channel, address))
            found[id_] = _Known(key, due, called, delivered)
        return found


def _count_others(counted: _Counted, changes: Mapping[UUID, StatusChange]) -> None:
    if not changes:
        return
    now = clock.now().timestamp()
    known = _look_up(changes)
    for id_, change in changes.items():
        if (one := known.get(id_)) is not None:
            handed = histogram.bucket((one.called or now) - one.due)
            _count(counted.groups[one.key], _Change(change.was, change.state, handed), 1)


# --- From what is reported -----------------------------------------------------------------------

_REPORTED = {
    EventType.DELIVERED: "delivered",
    EventType.BOUNCED: "bounced",
    EventType.COMPLAINED: "complained",
    EventType.OPENED: "opened",
    EventType.CLICKED: "clicked",
}

_EARLIER = """
SELECT DISTINCT delivery_id, type, data @> '{"machine": true}'
FROM notifications_event
WHERE delivery_id = ANY(%s::uuid[]) AND type = ANY(%s) AND id <> ALL(%s::uuid[])
"""


def reported(applied: Sequence[Applied]) -> None:
    """The first report of a kind on each message, whatever its state is by then: so their order makes
    no difference. What machines do is apart.
    """
    done = {
        (one.delivery.id, one.event.type.value, one.event.data.get("machine") is True)
        for one in applied
        if one.event.type in _REPORTED
    }
    if not done:
        return
    ids = uuids({id_ for id_, _, _ in done})
    new = uuids(one.event_id for one in applied)
    with connection.cursor() as cursor:
        cursor.execute(_EARLIER, [ids, [kind.value for kind in _REPORTED], new])
        done -= set(cursor.fetchall())
    known = _look_up({id_ for id_, _, _ in done})
    counted, now = _Counted(), clock.now().timestamp()
    for id_, kind, is_machine in done:
        one, name = known[id_], _REPORTED[EventType(kind)]
        counts = counted.groups[one.key]
        counts[name + ("_machine" if is_machine else "")] += 1
        if kind == EventType.DELIVERED:
            counts[f"{ARRIVED}{histogram.bucket((one.delivered or now) - one.due)}"] += 1
    counted.write()


def opted_out(entries: Sequence[Suppression]) -> None:
    """People want no more; of most it is known which message they said it of."""
    known = _look_up({entry.delivery_id for entry in entries if entry.delivery_id})
    counted = _Counted()
    for entry in entries:
        one = known.get(entry.delivery_id) if entry.delivery_id else None
        counted.groups[one.key if one else Key(entry.channel)]["opted_out"] += 1
    counted.write()
