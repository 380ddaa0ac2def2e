"""The states of a delivery and the only moves between them. Pure: tables and functions of them.

Three groups. The engine moves a delivery among its own states and to its ends. What a provider
reports only ever raises the state along a lattice, so webhooks may come twice and in any order
and give the same result.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices

from notifications.types import EventType


class State(TextChoices):
    SCHEDULED = "scheduled", "Scheduled"
    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    UNKNOWN = "unknown", "Unknown"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    DEAD = "dead", "Dead"
    UNCONFIRMED = "unconfirmed", "Unconfirmed"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"
    SUPPRESSED = "suppressed", "Suppressed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"


PENDING = frozenset({State.SCHEDULED, State.QUEUED, State.SENDING, State.UNKNOWN})
"""The engine still has work to do: exactly one Work row names the delivery."""

REPORTED = {
    EventType.SENT: State.SENT,
    EventType.DELIVERED: State.DELIVERED,
    EventType.BOUNCED: State.BOUNCED,
    EventType.COMPLAINED: State.COMPLAINED,
}
"""The provider events that say something about the state; all others are facts beside it."""

_LATTICE = [State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED]

BEST = [State.SENT, State.BOUNCED, State.DELIVERED, State.COMPLAINED]
"""Of several copies: one that was delivered is not undone by another one's bounce."""

_FURTHEST = [
    State.COMPLAINED,
    State.BOUNCED,
    State.DELIVERED,
    State.SENT,
    State.SENDING,
    State.UNKNOWN,
    State.QUEUED,
    State.SCHEDULED,
    State.UNCONFIRMED,
    State.DEAD,
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.SUPPRESSED,
]


def rank(state: State) -> int:
    """How far a provider's reports have raised `state`; -1 where none has yet."""
    return _LATTICE.index(state) if state in _LATTICE else -1


def after(state: State, events: Iterable[EventType]) -> State:
    """The state once the provider has reported `events`, in whatever order they came.

    A report outranks each of the engine's own states and ends: a receipt proves that the message
    went out, even where the engine had given up waiting for it.
    """
    reported = [REPORTED[event] for event in events if event in REPORTED]
    return max([state, *reported], key=rank)


def joined(state: State, copies: Iterable[Iterable[EventType]]) -> State:
    """The same of a message that left in several copies, from all reports on each: a copy is where
    its own reports have raised it, the message where the best of them is.
    """
    told = ([REPORTED[event] for event in events if event in REPORTED] for events in copies)
    return max((max(one, key=rank) for one in told if one), key=BEST.index, default=state)


def furthest(states: Iterable[State]) -> State:
    """The status of a notification: that of its delivery that got furthest."""
    return min(states, key=_FURTHEST.index)
