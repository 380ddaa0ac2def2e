"""What happened to a message, told from its rows as one story. Pure: rows in, entries out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from django.utils.timesince import timesince

from notifications.models import Attempt, Delivery, Event, FallbackStep, Notification, Suppression
from notifications.states import State
from notifications.types import Channel, ErrorClass, EventType, Lane, SuppressionReason, Unless

NO_RECEIPT: Final = "no receipt"
"""The reason on `sent` where a provider that reports never did."""

SUBMITTED: Final = "submitted"
SUPPRESSION: Final = "suppression"
SILENCE: Final = "no_receipt"

LABELS = {
    **{kind.value: kind.label for kind in EventType},
    SUBMITTED: "Submitted",
    SUPPRESSION: "Address suppressed",
    SILENCE: "No receipt",
}


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `type` is an `EventType`, or one of the three of whole messages.

    `text` is a sentence for people; the rest are its parts, empty where there are none.
    `attempt` is a call's number, `latency_ms` how long its provider took to answer.
    """

    type: str
    at: datetime
    text: str = ""
    delivery: Delivery | None = None
    provider: str = ""
    code: str = ""
    detail: str = ""
    attempt: int | None = None
    latency_ms: int | None = None

    @property
    def label(self) -> str:
        return LABELS[self.type]


def of_message(
    message: Notification,
    deliveries: Sequence[Delivery],
    steps: Iterable[FallbackStep],
    suppressions: Iterable[Suppression],
) -> list[Entry]:
    """The whole story, oldest first. `suppressions` are those that its deliveries caused."""
    planned = {step.delivery_id: step for step in steps}
    by_id = {delivery.id: delivery for delivery in deliveries}
    entries = [Entry(SUBMITTED, message.created_at, _submitted(message))]
    for delivery in deliveries:
        entries += of_delivery(delivery, _decided(message, delivery, planned.get(delivery.id)))
        if delivery.state == State.SENT and delivery.reason == NO_RECEIPT:
            silence = f"{delivery.provider} has not said what became of it"
            entries.append(Entry(SILENCE, delivery.updated_at, silence, delivery))
    entries += [
        Entry(SUPPRESSION, row.created_at, _suppressed(row), by_id[row.delivery_id])
        for row in suppressions
        if row.delivery_id in by_id
    ]
    return sorted(entries, key=_when)


def _when(entry: Entry) -> datetime:
    return entry.at


def of_delivery(delivery: Delivery, decided: str = "") -> list[Entry]:
    """Acceptance, each call and its answer, each report: oldest first."""
    entries = [Entry(EventType.ACCEPTED, delivery.created_at, decided, delivery)]
    calls = list(delivery.attempts.all())
    before = {later.id: earlier.provider for earlier, later in pairwise(calls)}
    for call in calls:
        entries += _call(delivery, call, before.get(call.id, call.provider))
    entries += [_event(delivery, event) for event in delivery.events.all()]
    return sorted(entries, key=_when)


# --- Before any call -----------------------------------------------------------------------------


def _submitted(message: Notification) -> str:
    row = f", row {message.row} of a batch" if message.row else ""
    agent = f" ({message.agent_id})" if message.agent_id else ""
    return f"By {message.client.name}{agent}{row}, priority {Lane(message.priority).label.lower()}"


def _decided(message: Notification, delivery: Delivery, step: FallbackStep | None) -> str:
    """What was made of it at acceptance, as far as the rows still tell."""
    where = f"{Channel(delivery.channel).label} to {delivery.address}"
    if delivery.replay_of_id:
        return f"{where}: sent again, by a replay"
    if step is not None:
        rule = Unless(step.unless).label.lower()
        wait = timesince(message.created_at, step.due_at)
        return f"{where}: step {step.number}, after {wait} {rule}"
    if delivery.state == State.SCHEDULED and delivery.reason:
        return f"{where}: waits, {delivery.reason}"
    if message.send_at and message.send_at > message.created_at:
        return f"{where}: waits until {message.send_at:%Y-%m-%d %H:%M %Z}"
    return where


# --- Calls ---------------------------------------------------------------------------------------

_ENDED = {
    Attempt.State.ACCEPTED: EventType.SENT,
    Attempt.State.REJECTED: EventType.FAILED,
    Attempt.State.FAILED: EventType.RETRY,
    Attempt.State.THROTTLED: EventType.RETRY,
    Attempt.State.UNKNOWN: EventType.UNKNOWN,
}


def _call(delivery: Delivery, call: Attempt, before: str) -> list[Entry]:
    """The call and its answer. `before` is the provider of the call before it."""
    instead = f", instead of {before}" if before != call.provider else ""
    begun = Entry(
        EventType.SENDING,
        call.started_at,
        f"Call {call.number} goes to {call.provider}{instead}",
        delivery,
        call.provider,
        attempt=call.number,
    )
    if call.ended_at is None:
        return [begun]
    latency = round((call.ended_at - call.started_at).total_seconds() * 1000)
    told = Entry(
        _ENDED[Attempt.State(call.state)],
        call.ended_at,
        f"{call.provider} {_answer(call, latency)}",
        delivery,
        call.provider,
        call.code,
        call.detail,
        call.number,
        latency,
    )
    return [begun, told]


def _answer(call: Attempt, latency: int) -> str:
    took = f"after {latency:,} ms" + (f" (HTTP {call.http_status})" if call.http_status else "")
    match Attempt.State(call.state):
        case Attempt.State.ACCEPTED:
            return f"took it {took}"
        case Attempt.State.UNKNOWN:
            return f"had not answered {took}"
    why = f": {ErrorClass(call.error_class).label.lower()}" if call.error_class else ""
    return f"said no {took}{why}"


# --- What came of it -----------------------------------------------------------------------------


def _event(delivery: Delivery, event: Event) -> Entry:
    return Entry(
        event.type,
        event.at,
        _told(event),
        delivery,
        event.provider,
        event.code,
        event.detail,
    )


def _told(event: Event) -> str:
    by = f"{event.provider}: " if event.provider else ""
    machine = ", by a machine" if event.data.get("machine") else ""
    url = event.data.get("url")
    where = f" {url.partition('?')[0]}" if isinstance(url, str) else ""
    return f"{by}{EventType(event.type).label.lower()}{machine}{where}"


def _suppressed(row: Suppression) -> str:
    what = Channel(row.channel).label
    what = what if what.isupper() else what.lower()
    scope = "at all" if row.scope == Suppression.ALL else f"of {row.scope}"
    return f"{SuppressionReason(row.reason).label}: no more {what} {scope}"
