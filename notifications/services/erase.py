"""What is kept of people is taken out of the rows, which stay for the statistics: ids, states, times,
and keyed hashes of addresses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from commsproject.common.arrays import uuids
from commsproject.common.personal_data import rows
from commsproject.common.personal_data.registry import (
    STEP_ROWS,
    Erased,
    Name,
    Person,
    pseudonym,
)
from notifications import addresses
from notifications.errors import CannotCancel
from notifications.models import (
    Address,
    Announcement,
    Delivery,
    Device,
    LiftedSuppression,
    Notification,
    Recipient,
    Schedule,
    SimulatedMessage,
    SimulatorRule,
    Suppression,
)
from notifications.services import cancel
from notifications.states import PENDING
from notifications.types import Channel

AT_ONCE = 200
"""Messages in a step: each has deliveries, attempts and events."""

A_CALL = timedelta(seconds=5)
"""For so long we wait for calls that have begun: their answer may send the message once more."""

ACCEPTANCE = timedelta(minutes=2)
"""A request that found the person still there has committed by then."""

BY_ERASURE = "cancelled, as the person is erased"


# --- What a message says -------------------------------------------------------------------------

_CONTENT = """
UPDATE notifications_notification
SET data = NULL, content = NULL, attachments = '[]', actions = NULL, metadata = '{}',
    reply_to = '', erased_at = coalesce(erased_at, clock_timestamp())
WHERE id = ANY(%(ids)s::uuid[])"""

_LETTERS = """
UPDATE notifications_deadletter SET data = NULL
WHERE delivery_id IN (
    SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)s::uuid[]))"""
"""Also where there are none yet: an edit that is just being made holds its row, and is waited for."""

_SIMULATED = """
DELETE FROM notifications_simulatedmessage WHERE attempt_id IN (
    SELECT attempt.id FROM notifications_attempt AS attempt
    JOIN notifications_delivery AS delivery ON delivery.id = attempt.delivery_id
    WHERE delivery.notification_id = ANY(%(ids)s::uuid[]))"""

_ADDRESSES = (
    """
    UPDATE notifications_attempt SET detail = '' WHERE detail <> '' AND delivery_id IN (
        SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)s::uuid[]))""",
    """
    UPDATE notifications_event SET detail = '', data = '{}'
    WHERE (detail <> '' OR data <> '{}') AND delivery_id IN (
        SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)s::uuid[]))""",
    """
    UPDATE notifications_deadletter AS letter
    SET address = '', reason = CASE WHEN position('@' IN letter.reason) > 0 THEN '' ELSE letter.reason END
    FROM notifications_delivery AS delivery
    WHERE delivery.id = letter.delivery_id AND notification_id = ANY(%(ids)s::uuid[])""",
    """
    UPDATE notifications_delivery
    SET address = '', reason = CASE
        WHEN position('@' IN reason) > 0 OR position(lower(address) IN lower(reason)) > 0 THEN ''
        ELSE reason END
    WHERE address <> '' AND notification_id = ANY(%(ids)s::uuid[])""",
)

_PERSON = (
    """
    DELETE FROM common_idempotencykey AS known USING notifications_notification AS message
    WHERE message.id = ANY(%(ids)s::uuid[]) AND message.idempotency_key <> ''
      AND known.client_id = message.client_id AND known.key = message.idempotency_key""",
    """
    UPDATE notifications_notification
    SET recipient_id = NULL, reference = '', idempotency_key = '', tags = '{}',
        locale = '', time_zone = ''
    WHERE id = ANY(%(ids)s::uuid[])""",
    """
    UPDATE common_outboxevent SET items = (
        SELECT jsonb_agg(CASE WHEN item->>'notification_id' = ANY(%(texts)s) THEN (
            SELECT jsonb_object_agg(key, CASE
                WHEN jsonb_typeof(value) <> 'string' OR key = ANY(%(kept)s) THEN value
                ELSE '""' END) FROM jsonb_each(item)) ELSE item END ORDER BY place)
        FROM jsonb_array_elements(items) WITH ORDINALITY AS one(item, place))
    WHERE EXISTS (SELECT FROM jsonb_array_elements(items) AS item
                  WHERE item->>'notification_id' = ANY(%(texts)s))""",
    """
    UPDATE notifications_deadletter SET reason = '' WHERE delivery_id IN (
        SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)s::uuid[]))""",
    """
    UPDATE notifications_delivery SET reason = '' WHERE notification_id = ANY(%(ids)s::uuid[])""",
)

_KEPT = (
    *("notification_id", "delivery_id", "user_id", "channel", "timestamp", "agent"),
    *("provider", "category"),
)
"""Words in an event that nobody has fetched yet; its `user_id` goes with the others of the person."""


def content(ids: Collection[UUID]) -> None:
    """Of these messages, none of which is to be sent any more, what they say; in the caller's
    transaction.
    """
    _run((_SIMULATED, _LETTERS, _CONTENT), ids)


def content_and_addresses(ids: Collection[UUID]) -> None:
    """The same, and where they went."""
    _run((_SIMULATED, _LETTERS, *_ADDRESSES, _CONTENT), ids)


def _whole(ids: Collection[UUID]) -> None:
    """All that could lead from a message to its person."""
    _run((_SIMULATED, _LETTERS, *_ADDRESSES, *_PERSON, _CONTENT), ids)


def _run(statements: Iterable[str], ids: Collection[UUID]) -> None:
    values: dict[str, Any] = {
        "ids": uuids(ids),
        "texts": [str(id_) for id_ in ids],
        "kept": list(_KEPT),
    }
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values)


# --- A person ------------------------------------------------------------------------------------


def names(user_id: str) -> Iterator[Name]:
    """The person's row, addresses and devices, old addresses too. What another person has as well
    stays theirs: it is no name of this one.
    """
    recipient = Recipient.objects.filter(user_id=user_id).first()
    if recipient is None:
        return
    yield "recipient", str(recipient.id)
    for device in Device.objects.filter(recipient=recipient):
        yield "push", f"{device.platform}:{device.id}"
        if device.token:
            yield "device", device.token
    known = {*recipient.addresses.values_list("channel", "value"), *_written_to(recipient)}
    others = set(
        Address.objects.annotate(folded=Lower("value"))
        .filter(folded__in=[value.lower() for _, value in known])
        .exclude(recipient=recipient)
        .values_list("channel", "folded")
    )
    yield from sorted(one for one in known if (one[0], one[1].lower()) not in others)


def _written_to(recipient: Recipient) -> Iterable[tuple[str, str]]:
    return (
        Delivery.objects.filter(
            notification__recipient=recipient, channel__in=[Channel.EMAIL, Channel.SMS]
        )
        .exclude(address="")
        .order_by()
        .values_list("channel", "address")
        .distinct()
    )


def hashes(person: Person) -> list[str]:
    """Of all addresses that are the person's alone."""
    return [
        addresses.digest(Channel(kind), value)
        for kind, value in person.names
        if kind in Channel.values
    ]


def schedules(person: Person, _after: str) -> Erased:
    """A schedule for this person ends; of one for many their row goes."""
    gone = 0
    for schedule in schedules_of(person).select_for_update():
        kept = [one for one in schedule.request.get("rows", ()) if not _is_for(person, one)]
        if kept and len(kept) == len(schedule.request["rows"]):
            continue
        gone += 1
        if kept:
            schedule.request["rows"] = kept
            schedule.save(update_fields=["request"])
        else:
            schedule.delete()
    return Erased(gone)


def schedules_of(person: Person) -> QuerySet[Schedule]:
    """Those that name the person, alone or among others."""
    wanted = Q()
    for to in _targets(person):
        wanted |= Q(request__contains={"to": to}) | Q(request__contains={"rows": [{"to": to}]})
    return Schedule.objects.filter(wanted)


def request_for(person: Person, schedule: Schedule) -> dict[str, Any]:
    """What a schedule asks for, without the rows of others."""
    if "rows" not in schedule.request:
        return dict(schedule.request)
    rows = [one for one in schedule.request["rows"] if _is_for(person, one)]
    return {**schedule.request, "rows": rows}


def _targets(person: Person) -> Iterator[dict[str, str]]:
    yield {"user_id": person.user_id}
    for field, channel in addresses.FIELDS.items():
        for value in person.named(channel.value):
            yield {field: value.rpartition(":")[2] if channel is Channel.PUSH else value}


def _is_for(person: Person, row: dict[str, Any]) -> bool:
    to = row.get("to") or {}
    return any(wanted.items() <= to.items() for wanted in _targets(person))


def messages(person: Person, _after: str) -> Erased:
    """Those that wait are cancelled; then all lose what leads to the person."""
    found = _messages(person)
    if not found:
        return Erased()
    begun = _stopped(found)
    free = [id_ for id_ in found if id_ not in begun]
    _whole(free)
    return Erased(len(free), "more", timedelta(0) if free else A_CALL)


def _messages(person: Person) -> list[UUID]:
    """The next ones: the person's own, then those that went to an address alone."""
    own = Notification.objects.filter(recipient_id__in=person.named("recipient"))
    if found := list(own.order_by("id").values_list("id", flat=True)[:AT_ONCE]):
        return found
    sent = Delivery.objects.filter(
        address_hash__in=hashes(person), notification__recipient__isnull=True
    ).exclude(address="")
    return list(sent.values_list("notification_id", flat=True).distinct()[:AT_ONCE])


def _stopped(ids: Sequence[UUID]) -> set[UUID]:
    """Those of `ids` that could not be stopped: a provider is being called."""
    pending = Delivery.objects.filter(notification__in=ids, state__in=PENDING)
    for message in Notification.objects.filter(id__in=pending.values("notification")):
        try:
            with transaction.atomic():
                cancel.cancel(message, BY_ERASURE)
        except CannotCancel:
            continue
    return set(pending.values_list("notification_id", flat=True))


def batch_rejections(person: Person, after: str) -> Erased:
    """Refused rows of uploads have no link to anybody: those that name the person in words."""
    words = [person.user_id, *person.named(*Channel.values)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH page AS (
                SELECT id, reference, errors::text AS errors FROM notifications_batchrejection
                WHERE id > %s ORDER BY id LIMIT %s
            ), found AS (
                UPDATE notifications_batchrejection AS row SET reference = '', errors = '[]'
                FROM page WHERE row.id = page.id AND EXISTS (
                    SELECT FROM unnest(%s::text[]) AS word
                    WHERE position(lower(word) IN lower(page.reference || page.errors)) > 0)
                RETURNING row.id
            )
            SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM page),
                   (SELECT id::text FROM page ORDER BY page.id DESC LIMIT 1)""",
            [after or str(UUID(int=0)), STEP_ROWS, words],
        )
        found, seen, last = cursor.fetchone()
    return Erased(found, last if seen == STEP_ROWS else "")


def simulator(person: Person, _after: str) -> Erased:
    """What a simulator carried to them, and what it was told to do with it."""
    everywhere = [person.user_id, *person.named(*Channel.values, "device")]
    SimulatorRule.objects.filter(address__in=everywhere).delete()
    return rows.deleted(SimulatedMessage.objects.filter(address__in=everywhere))


def announcements(person: Person, _after: str) -> Erased:
    listed = list(Announcement.objects.filter(user_ids__contains=[person.user_id]))
    for one in listed:
        one.user_ids = [user_id for user_id in one.user_ids if user_id != person.user_id]
    Announcement.objects.bulk_update(listed, ["user_ids"])
    return Erased(len(listed))


def evidence(person: Person, _after: str) -> Erased:
    """That they agreed, or were put on the suppression list or taken off it, stays with the hash of
    the address; words that came with it go.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE notifications_consent SET proof = '{}', recipient_id = NULL
            WHERE recipient_id = ANY(%s::uuid[]) OR address_hash = ANY(%s) AND proof <> '{}'""",
            [person.named("recipient"), hashes(person)],
        )
        found = cursor.rowcount
    ours = {"address_hash__in": hashes(person)}
    lifted = LiftedSuppression.objects.filter(**ours).exclude(why="").update(why="")
    listed = Suppression.objects.filter(**ours).exclude(address="").update(address="")
    return Erased(found + lifted + listed)


def staff_log(person: Person, _after: str) -> Erased:
    """What the admin noted that staff did with them, or with what has their address in its name."""
    named = Q(object_repr=person.user_id[:200])
    for value in person.named(Channel.EMAIL, Channel.SMS):
        named |= Q(object_repr__icontains=value) | Q(change_message__icontains=value)
    entries = LogEntry.objects.filter(named)
    return Erased(entries.update(object_repr=pseudonym(person.user_id), change_message=""))


def recipient(person: Person, _after: str) -> Erased:
    """The row of the person, with addresses, devices, choices, topics, inbox, digests."""
    found = Recipient.objects.filter(id__in=person.named("recipient")).select_for_update()
    if not found.exists():
        return Erased()
    return Erased(found.delete()[0])


def late_messages(person: Person, after: str) -> Erased:
    """Requests that were being accepted when the row went have left messages that refer to it."""
    if not after:
        return Erased(0, "waited", ACCEPTANCE)
    step = messages(person, after)
    return Erased(step.rows, step.after and "waited", step.wait)
