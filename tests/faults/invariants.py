"""What must hold after every fault, whatever was killed, lost or away.

I1 every 202 has its rows. I2 every delivery that was accepted is at an end, or it is known what it
waits for. I3 what is said to be sent was sent. I4 each copy beyond the first is paired with one
attempt that was left without an answer, and there are none in bulk. I5 no state goes back.
I6 no claim outlives its lease. And the ledger adds up (`manage.py audit`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from notifications.models import Attempt, Delivery, Notification, Work
from notifications.services import audit
from notifications.states import PENDING, State, rank
from notifications.types import Channel, ErrorClass, Lane

SWEEP = timedelta(seconds=5)
"""How soon after its end a lease must have been taken over."""

_RECORD = """
CREATE TABLE fault_move (id bigserial, delivery uuid, was text, now text);
CREATE FUNCTION fault_note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fault_move (delivery, was, now) VALUES (OLD.id, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER fault_move AFTER UPDATE OF state ON notifications_delivery FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION fault_note_move();
"""

_FORGET = """
DROP TRIGGER fault_move ON notifications_delivery;
DROP FUNCTION fault_note_move;
DROP TABLE fault_move;
"""


class Taken(Protocol):
    """A message that a provider took, with our ids in it."""

    @property
    def custom_args(self) -> Mapping[str, str]: ...


def record_moves() -> None:
    """From now on; `moves_recorded` where it has to end."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORD)


@contextmanager
def moves_recorded() -> Iterator[None]:
    """Every move of every delivery, by whichever process, is written down by the database."""
    record_moves()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_FORGET)


def check(taken: Iterable[Taken], *, answered: Collection[str] = ()) -> None:
    """Fails with every row that breaks an invariant. For when no process is at work.

    `taken` is what the provider took, `answered` the ids of messages that got a 202. Needs
    `moves_recorded` from before the first of them.
    """
    found = findings(taken, answered=answered)
    assert not found, f"{len(found)} broken:\n" + "\n".join(found[:20])


def findings(taken: Iterable[Taken], *, answered: Collection[str] = ()) -> list[str]:
    """A line for each of those rows."""
    ledger = _Ledger(taken)
    return [
        *_without_rows(answered),
        *_unexplained(),
        *_never_sent(ledger),
        *_unpaired(ledger),
        *_regressed(),
        *_sent_again(),
        *overdue(),
        *(f"{one.rule}: {one.row}: {one.detail}" for one in audit.findings()),
    ]


def copies(taken: Sequence[Taken]) -> int:
    """How many messages the provider took beyond the first of each."""
    return len(taken) - len({mail.custom_args["message_id"] for mail in taken})


class _Ledger:
    """The provider's, by attempt and by message. One delivery a message."""

    def __init__(self, taken: Iterable[Taken]) -> None:
        self.attempts: Counter[UUID] = Counter()
        self.messages: dict[UUID, list[UUID]] = defaultdict(list)
        for mail in taken:
            attempt = UUID(mail.custom_args["attempt_id"])
            self.attempts[attempt] += 1
            self.messages[UUID(mail.custom_args["message_id"])].append(attempt)


def _without_rows(answered: Collection[str]) -> list[str]:
    wanted = {UUID(id_) for id_ in answered}
    there = set(Notification.objects.filter(id__in=wanted).values_list("id", flat=True))
    return [f"I1: {id_} was answered with 202 and is not there" for id_ in wanted - there]


def _unexplained() -> list[str]:
    """An unknown outcome waits for its receipt: its work says until when."""
    waiting = {id_ for work in Work.objects.filter(kind=Work.Kind.RECONCILE) for id_ in work.ids}
    pending = Delivery.objects.filter(state__in=PENDING)
    return [
        f"I2: delivery {row.id} is {row.state} ({row.reason!r})"
        for row in pending
        if row.state != State.UNKNOWN or row.id not in waiting
    ]


def _never_sent(ledger: _Ledger) -> list[str]:
    """What is sent to an inbox leaves no vendor a trace."""
    rows = Delivery.objects.filter(state__in=[state for state in State if rank(state) >= 0])
    rows = rows.exclude(channel=Channel.INAPP)
    accepted = Attempt.objects.filter(state=Attempt.State.ACCEPTED).exclude(provider="inapp")
    return [
        *(
            f"I3: delivery {id_} is sent, the provider never took it"
            for id_, message in rows.values_list("id", "notification_id")
            if message not in ledger.messages
        ),
        *(
            f"I3: attempt {id_} is accepted, the provider never took it"
            for id_ in accepted.values_list("id", flat=True)
            if id_ not in ledger.attempts
        ),
    ]


def _unpaired(ledger: _Ledger) -> list[str]:
    attempts = Attempt.objects.select_related("delivery__notification").in_bulk(
        list(ledger.attempts)
    )
    found = [
        f"I4: attempt {id_} was called {times} times, {'once' if id_ in attempts else 'never'} "
        "written down"
        for id_, times in ledger.attempts.items()
        if times > 1 or id_ not in attempts
    ]
    for message, ids in ledger.messages.items():
        found += _unpaired_copies(message, [attempts[id_] for id_ in ids if id_ in attempts])
    return found


def _unpaired_copies(message: UUID, attempts: Sequence[Attempt]) -> list[str]:
    """`attempts` took the message. One may have ended it; each other was left without an answer."""
    denied = [one for one in attempts if not _was_left_open(one) and not _was_answered(one)]
    found = [f"I4: attempt {one.id} is {one.state}, the provider took it" for one in denied]
    if sum(not _was_left_open(one) for one in attempts) > 1:
        found.append(f"I4: message {message} was sent {len(attempts)} times, and answered")
    if len(attempts) > 1 and attempts[0].delivery.notification.priority == Lane.BULK:
        found.append(f"I4: bulk message {message} was sent {len(attempts)} times")
    return found


def _was_left_open(attempt: Attempt) -> bool:
    """A late answer makes it `accepted`; the class it was left with stays."""
    return attempt.error_class == ErrorClass.AMBIGUOUS


def _was_answered(attempt: Attempt) -> bool:
    return attempt.state == Attempt.State.ACCEPTED


def _regressed() -> list[str]:
    """Only a message of several copies may have bounced before it was delivered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT delivery, was, now, attempts_made FROM fault_move"
            " JOIN notifications_delivery AS row ON row.id = delivery ORDER BY fault_move.id"
        )
        return [
            f"I5: delivery {delivery} went from {was} to {now}"
            for delivery, was, now, calls in cursor.fetchall()
            if was not in PENDING and rank(State(now)) <= rank(State(was))
            if (was, now) != (State.BOUNCED, State.DELIVERED) or calls == 1
        ]


def _sent_again() -> list[str]:
    """A call after one that the provider had answered with yes."""
    by_delivery: Mapping[UUID, list[Attempt]] = defaultdict(list)
    for attempt in Attempt.objects.filter(delivery__attempts_made__gt=1).order_by("number"):
        by_delivery[attempt.delivery_id].append(attempt)
    return [
        f"I5: delivery {delivery} was called for again after attempt {attempt.number}"
        for delivery, attempts in by_delivery.items()
        for attempt in attempts[:-1]
        if _was_answered(attempt) and not _was_left_open(attempt)
    ]


def overdue() -> list[str]:
    """Claims whose process is gone, and that nobody has taken over in time."""
    return [
        f"I6: work {work.id} was leased until {work.lease_until}"
        for work in Work.objects.filter(lease_until__lt=Now() - SWEEP)
    ]
