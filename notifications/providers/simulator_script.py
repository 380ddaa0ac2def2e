"""What a simulator is told to do wrong: rules in the database, so that all processes obey alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from uuid import UUID
from zlib import crc32

from django.db.models import F, Q
from django.utils import timezone

from notifications.models import SimulatedMessage, SimulatorRule
from notifications.types import Channel, EventType

Receipts = SimulatorRule.Receipts

_MANNERS = {
    Receipts.DUPLICATED: SimulatedMessage.Manner.DUPLICATED,
    Receipts.FORGED: SimulatedMessage.Manner.FORGED,
}


@dataclass(frozen=True)
class Call:
    """One message on its way to one simulator. `lot` is another for each attempt."""

    provider: str
    channel: Channel
    address: str
    lot: UUID


@dataclass(frozen=True)
class Post:
    """The receipts of one message, in their order, when they come and how."""

    events: list[EventType]
    due_at: datetime | None
    manner: SimulatedMessage.Manner = SimulatedMessage.Manner.NORMAL


def meet(call: Call) -> SimulatorRule | None:
    """The rule that `call` meets, counted by it; None: all is well."""
    now = timezone.now()
    current = SimulatorRule.objects.filter(Q(until=None) | Q(until__gt=now))
    return next((rule for rule in fitting(current, call) if _count(rule)), None)


def fitting(rules: Iterable[SimulatorRule], call: Call) -> Iterable[SimulatorRule]:
    """Those that are about such a message, in their order; always the same for the same lot."""
    for rule in rules:
        share = crc32(call.lot.bytes + rule.id.bytes) % 100  # each rule draws by itself
        if (
            rule.provider in ("", call.provider)
            and rule.channel in ("", call.channel)
            and (not rule.address or fnmatchcase(call.address.lower(), rule.address.lower()))
            and share < rule.percent
        ):
            yield rule


def _count(rule: SimulatorRule) -> bool:
    """False where as many messages as it is for have met it, in whatever process."""
    still = Q(messages=None) | Q(met__lt=F("messages"))
    return bool(SimulatorRule.objects.filter(still, id=rule.id).update(met=F("met") + 1))


def post(rule: SimulatorRule | None, events: list[EventType], due_at: datetime) -> Post:
    """What becomes of the receipts of a message that meets `rule`."""
    match rule.receipts if rule else Receipts.NORMAL:
        case Receipts.LOST:
            return Post([], None)
        case Receipts.LATE if rule:
            return Post(events, due_at + timedelta(seconds=rule.receipts_after))
        case Receipts.REORDERED:
            return Post([*reversed(events), EventType.SENT], due_at)
        case (Receipts.DUPLICATED | Receipts.FORGED) as receipts:
            return Post(events, due_at, _MANNERS[Receipts(receipts)])
    return Post(events, due_at)
