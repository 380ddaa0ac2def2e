"""What others hear of messages, people and providers: written to the outbox with the change itself.

What a window has in hand is told from there; of other changes PostgreSQL gathers what is told, in
one statement for all of a transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from commsproject.common import alerts, clock, outbox
from commsproject.common.arrays import uuids
from commsproject.common.models import OutboxEvent
from notifications.models import Consent, Delivery, ProviderChange, Suppression
from notifications.services.complete import Outcome
from notifications.services.plan import Planned
from notifications.services.status import Applied, StatusChange
from notifications.states import PENDING, State
from notifications.types import EventType

OF_STATE = {
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    State.FAILED: "failed",
    State.DEAD: "failed",
    State.UNCONFIRMED: "failed",
    State.BOUNCED: "bounced",
    State.COMPLAINED: "complained",
    State.SUPPRESSED: "suppressed",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
}
"""What a state is called outside; of the engine's own nobody hears."""

_KINDS = {state.value: kind for state, kind in OF_STATE.items()}

OF_EVENT = {EventType.OPENED: "opened", EventType.CLICKED: "clicked"}

AT_ONCE = 500
"""Events of one row."""

_TELL = """
INSERT INTO common_outboxevent (id, type, items, at, is_handed)
SELECT uuidv7(), 'notification.' || told.kind, jsonb_agg(
    jsonb_build_object(
        'notification_id', delivery.notification_id, 'delivery_id', delivery.id,
        'user_id', recipient.user_id, 'channel', delivery.channel, 'timestamp', now(),
        'agent', notification.client_id, 'reference', notification.reference)
    || CASE
        WHEN told.kind = 'failed' THEN jsonb_build_object(
            'error', told.reason, 'status', told.state,
            'retry_count', greatest(delivery.attempts_made - 1, 0))
        WHEN told.kind IN ('bounced', 'complained', 'suppressed', 'expired', 'cancelled')
            THEN jsonb_build_object('reason', told.reason)
        WHEN told.kind IN ('opened', 'clicked')
            THEN jsonb_build_object('machine', told.reason = 'machine')
        ELSE '{}' END
    ORDER BY told.place), now(), false
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[])
    WITH ORDINALITY AS told (id, kind, state, reason, place)
JOIN notifications_delivery delivery ON delivery.id = told.id
JOIN notifications_notification notification ON notification.id = delivery.notification_id
LEFT JOIN notifications_recipient recipient ON recipient.id = notification.recipient_id
GROUP BY told.kind
"""


def status_changed(changes: Sequence[StatusChange], outcomes: Sequence[Outcome]) -> None:
    """Deliveries are in new states; `outcomes` of the window that brought all of them about, if one
    did: it knows what PostgreSQL would have to look up.
    """
    if outcomes:
        _tell_outcomes(outcomes)
        return
    _tell(
        (change.delivery_id, kind, change.state, change.reason)
        for change in changes
        if (kind := _KINDS.get(change.state))
    )


def reported(applied: Sequence[Applied]) -> None:
    """Facts beside the state: opens and clicks."""
    _tell(
        (
            one.delivery.id,
            OF_EVENT[one.event.type],
            one.delivery.state,
            "machine" if one.event.data.get("machine") is True else "",
        )
        for one in applied
        if one.event.type in OF_EVENT
    )


def _tell_outcomes(outcomes: Sequence[Outcome]) -> None:
    now = timezone.now().isoformat()
    found: dict[str, list[outbox.Item]] = defaultdict(list)
    for one in outcomes:
        if one.now != one.was and (kind := _KINDS.get(one.now)):
            item = one.item
            found[kind].append(
                {
                    "notification_id": item.notification_id,
                    "delivery_id": item.id,
                    "user_id": item.user_id,
                    "channel": item.channel.value,
                    "timestamp": now,
                    "agent": item.lease.client_id,
                    "reference": item.reference,
                    **_more(kind, one),
                }
            )
    for kind, items in found.items():
        for start in range(0, len(items), AT_ONCE):
            outbox.emit(f"notification.{kind}", items[start : start + AT_ONCE])


_ENDS = frozenset({"bounced", "complained", "suppressed", "expired", "cancelled"})
_NOTHING: outbox.Item = {}


def _more(kind: str, one: Outcome) -> outbox.Item:
    """What events of this kind tell beside what all do."""
    if kind == "failed":
        return {"error": one.why, "status": one.now, "retry_count": max(one.made - 1, 0)}
    return {"reason": one.why} if kind in _ENDS else _NOTHING


def _tell(told: Iterable[tuple[UUID, str, str, str]]) -> None:
    """Of each: the delivery, what the event is called, the state and the reason."""
    all_told = list(told)
    wanted = {
        kind for kind in {row[1] for row in all_told} if outbox.is_wanted(f"notification.{kind}")
    }
    rows = [row for row in all_told if row[1] in wanted]
    for start in range(0, len(rows), AT_ONCE):
        ids, kinds, states, reasons = zip(*rows[start : start + AT_ONCE], strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_TELL, [uuids(ids), list(kinds), list(map(str, states)), list(reasons)])


def accepted(planned: Sequence[Planned]) -> None:
    """Messages are stored. Those that may not be sent are told of by their end alone."""
    if not outbox.is_wanted("notification.accepted"):
        return
    now = timezone.now().isoformat()
    items = [
        {
            "notification_id": one.id,
            "delivery_id": delivery.id,
            "user_id": one.row.to.user_id or None,
            "channel": delivery.channel.value,
            "timestamp": now,
            "agent": one.shared.client.id,
            "reference": one.row.reference,
        }
        for one in planned
        for delivery in one.deliveries
        if delivery.state in PENDING
    ]
    for start in range(0, len(items), AT_ONCE):
        outbox.emit("notification.accepted", items[start : start + AT_ONCE])


# --- People --------------------------------------------------------------------------------------

_ACTS = {
    Consent.Act.GIVEN: "recipient.opted_in",
    Consent.Act.CONFIRMED: "recipient.opted_in",
    Consent.Act.WITHDRAWN: "recipient.opted_out",
}


def consented(consent: Consent) -> None:
    """A person has chosen. What is asked but not confirmed yet is no choice; what was said from an
    address is told of by its entry on the suppression list.
    """
    if consent.recipient is None or consent.address_hash:
        return
    if kind := _ACTS.get(Consent.Act(consent.act)):
        key = consent.category.key if consent.category else ""
        outbox.emit(kind, [_choice(consent.recipient.user_id, consent.channel, key)])


def opted(entries: Sequence[Suppression], *, out: bool) -> None:
    """People's own entries came on the suppression list, or were taken off it."""
    kind = "recipient.opted_out" if out else "recipient.opted_in"
    if not entries or not outbox.is_wanted(kind):
        return
    asked = {entry.delivery_id for entry in entries if entry.delivery_id}
    known = Delivery.objects.filter(id__in=asked).values_list(
        "id", "notification__recipient__user_id"
    )
    people = dict(known)
    outbox.emit(
        kind,
        [
            _choice(
                people.get(entry.delivery_id) if entry.delivery_id else None,
                entry.channel,
                "" if entry.scope == Suppression.ALL else entry.scope,
            )
            for entry in entries
        ],
    )


def _choice(user_id: str | None, channel: str, category: str) -> dict[str, str | None]:
    return {
        "user_id": user_id,
        "channel": channel,
        "category": category,
        "timestamp": timezone.now().isoformat(),
    }


# --- Providers -----------------------------------------------------------------------------------


def provider_changed(change: ProviderChange) -> None:
    outbox.emit(
        "provider.state_changed",
        [
            {
                "provider": change.provider_id,
                "was": change.was,
                "now": change.now,
                "reason": change.reason,
                "timestamp": change.at.isoformat(),
            }
        ],
    )


# --- Is it getting out? --------------------------------------------------------------------------

LATE = timedelta(minutes=1)
_WAITS = "outbox.waits"


def watch() -> None:
    """Staff hear of it where events do not get out."""
    oldest = OutboxEvent.objects.order_by("number").values_list("at", flat=True).first()
    if oldest is None or clock.now() - oldest < LATE:
        alerts.resolve(_WAITS)
        return
    alerts.raise_once(
        _WAITS,
        severity=alerts.Severity.WARNING,
        title="Events are not getting out",
        detail=f"The oldest waits since {oldest:%Y-%m-%d %H:%M:%S} UTC. Does EVENTS_URL answer?",
    )
