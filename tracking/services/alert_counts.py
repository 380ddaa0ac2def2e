"""What rules of alerts look at, noted in the transactions in which it happens.

A failure of ours here must not cost the engine anything but a row or two: of a window there is one
row for each thing that is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Q

from commsproject.common.alerts import counts
from commsproject.common.alerts.counts import What
from notifications.models import Category, Notification
from notifications.services.complete import Outcome
from notifications.services.status import Applied, StatusChange
from notifications.states import PENDING, REPORTED, State
from notifications.types import ErrorClass, EventType, Lane, ProviderError, Sent
from tracking.models import FailedMessage
from tracking.services.alike import Alike

TAKEN = frozenset({State.SENT, State.DELIVERED})
FAILED = frozenset({State.FAILED, State.DEAD, State.UNCONFIRMED, State.EXPIRED})
LOST = FAILED | {State.BOUNCED}
"""What a message that somebody waits for must not come to."""

_OF_PROVIDER = frozenset({ErrorClass.TEMPORARY, ErrorClass.AUTH_CONFIG, ErrorClass.AMBIGUOUS})
"""Errors that say something about the provider, and nothing about the message or our pace."""

_REPORTS = {EventType.BOUNCED: What.BOUNCED, EventType.COMPLAINED: What.COMPLAINED}
_MOVES = {*PENDING, ""}
"""From where a delivery is taken, or fails, for the first time."""


def changed(
    changes: Sequence[StatusChange], outcomes: Sequence[Outcome], groups: Iterable[Alike]
) -> None:
    """A window is over, or something else has moved deliveries. `groups` are its `outcomes`."""
    counted: Counter[tuple[What, str]] = Counter()
    for sample, _, count in groups:
        if sample.now and sample.was in _MOVES and sample.was != sample.now:
            for what in _kinds(State(sample.now)):
                counted[what, sample.item.channel.value] += count
        if (of_call := _of_call(sample)) is not None:
            counted[of_call, sample.provider] += count
    counts.note(counted)
    _note_lost(changes, outcomes)


def _kinds(state: State) -> Iterable[What]:
    if state in TAKEN:
        yield What.TAKEN
    if state in FAILED:
        yield What.FAILED
    if state is State.DEAD:
        yield What.DEAD


def _of_call(one: Outcome) -> What | None:
    if one.attempt is None:
        return None
    if isinstance(one.answer, Sent):
        return What.CALL_TAKEN
    if isinstance(one.answer, ProviderError) and one.answer.error_class in _OF_PROVIDER:
        return What.CALL_FAILED
    return None


def reported(provider: str, applied: Sequence[Applied]) -> None:
    """A provider has told of messages."""
    first = {one.delivery.id for one in applied if one.event.type in REPORTED}
    counted = Counter(
        (_REPORTS[one.event.type], provider) for one in applied if one.event.type in _REPORTS
    )
    counted[What.RECEIPT, provider] += len(first)
    counts.note(counted)


def _note_lost(changes: Sequence[StatusChange], outcomes: Sequence[Outcome]) -> None:
    lost = {one.notification_id: one for one in changes if one.state in LOST}
    if not lost:
        return
    codes = {
        one.item.id: f"{one.answer.error_class.value}: {one.answer.code}"
        for one in outcomes
        if isinstance(one.answer, ProviderError)
    }
    awaited = Notification.objects.filter(
        Q(priority=Lane.URGENT) | Q(category__kind=Category.Kind.ESSENTIAL), id__in=list(lost)
    )
    FailedMessage.objects.bulk_create(
        FailedMessage(
            notification_id=id_, category=category or "", error=_error(lost[id_], codes)[:200]
        )
        for id_, category in awaited.values_list("id", "category__key")
    )


def _error(change: StatusChange, codes: dict[UUID, str]) -> str:
    """The provider's code where there is one, else how it ended: what else a provider says may name
    somebody.
    """
    return codes.get(change.delivery_id) or State(change.state).label.lower()
