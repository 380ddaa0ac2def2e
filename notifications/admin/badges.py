"""The colour of each word of this domain."""

from __future__ import annotations

from django.utils.safestring import SafeString

from commsproject.common.admin import Tone, badge
from notifications import timeline
from notifications.models import Attempt
from notifications.states import State
from notifications.types import EventType, Lane

_STATES = {
    State.SCHEDULED: Tone.QUIET,
    State.QUEUED: Tone.QUIET,
    State.SENDING: Tone.BUSY,
    State.UNKNOWN: Tone.WARN,
    State.SENT: Tone.BUSY,
    State.DELIVERED: Tone.GOOD,
    State.FAILED: Tone.BAD,
    State.DEAD: Tone.BAD,
    State.UNCONFIRMED: Tone.WARN,
    State.BOUNCED: Tone.BAD,
    State.COMPLAINED: Tone.BAD,
    State.SUPPRESSED: Tone.WARN,
    State.CANCELLED: Tone.QUIET,
    State.EXPIRED: Tone.WARN,
}

_ATTEMPTS = {
    Attempt.State.CALLING: Tone.BUSY,
    Attempt.State.ACCEPTED: Tone.GOOD,
    Attempt.State.REJECTED: Tone.BAD,
    Attempt.State.THROTTLED: Tone.WARN,
    Attempt.State.FAILED: Tone.WARN,
    Attempt.State.UNKNOWN: Tone.WARN,
}

_LANES = {Lane.URGENT: Tone.WARN, Lane.NORMAL: Tone.QUIET, Lane.BULK: Tone.BUSY}

_EVENTS: dict[str, Tone] = {
    EventType.RETRY: Tone.WARN,
    EventType.DEFERRED: Tone.WARN,
    EventType.UNSUBSCRIBED: Tone.WARN,
    EventType.OPENED: Tone.GOOD,
    EventType.CLICKED: Tone.GOOD,
    timeline.SUPPRESSION: Tone.WARN,
    timeline.SILENCE: Tone.WARN,
}


def state(value: State) -> SafeString:
    return badge(value.label, tone_of(value))


def tone_of(value: State) -> Tone:
    return _STATES[value]


def attempt(value: Attempt.State) -> SafeString:
    return badge(value.label, _ATTEMPTS[value])


def lane(value: Lane) -> SafeString:
    return badge(value.label, _LANES[value])


def event(kind: str) -> Tone:
    """An entry of a timeline: one that names a state has that state's colour."""
    if kind in _EVENTS:
        return _EVENTS[kind]
    return _STATES[State(kind)] if kind in State.values else Tone.QUIET
