"""Messages that a provider took and has not said a word about since: it is asked, and in the end the
silence is written down.

`sent` is in no index, and most messages have left it soon. So each attempt is looked at twice, as it
passes an age, in a range of keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from commsproject.common import ids
from notifications.models import Attempt, Delivery
from notifications.providers import registry
from notifications.providers.base import Provider
from notifications.services import status
from notifications.states import State
from notifications.timeline import NO_RECEIPT
from notifications.types import Channel, Inquiry, ProviderError, ProviderEvent
from tracking.models import Progress

log = structlog.get_logger(__name__)

ASK_AFTER = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=72)

STEP = timedelta(seconds=10)
"""Of attempts that one transaction looks at."""

STEPS = 60
"""Of one run: a job that has not run for long catches up ten minutes at a time."""

FIRST = timedelta(days=1)

QUESTIONS = 20
"""To one provider about the calls of one step, at most: where all its receipts are missing, it is
something else that must be mended.
"""


def mark() -> int:
    """Say `no receipt` of what was sent three days ago, by providers that tell what becomes of
    messages; the number of deliveries. They stay `sent`: a receipt may still come.
    """
    telling = [one.name for one in registry.enabled().values() if _tells(one)]
    done = 0
    for begin, end in _steps("no receipt", timezone.now() - GIVE_UP_AFTER):
        with transaction.atomic():
            calls = _taken(begin, end).filter(provider__in=telling).values("delivery_id")
            waiting = Delivery.objects.filter(id__in=calls, state=State.SENT, reason="")
            locked = waiting.select_for_update(no_key=True).order_by("id")
            found = list(locked.values_list("id", flat=True))
            done += Delivery.objects.filter(id__in=found, state=State.SENT).update(
                reason=NO_RECEIPT, updated_at=timezone.now()
            )
            _reached("no receipt", end)
    return done


def _tells(provider: Provider) -> bool:
    return type(provider).verify is not Provider.verify


def ask() -> int:
    """Ask the providers that can tell about what they took an hour ago; the number of events."""
    able = {name: one for name, one in registry.enabled().items() if one.looks_up}
    if not able:
        return 0
    done = 0
    for begin, end in _steps("look-ups", timezone.now() - ASK_AFTER):
        waiting = _taken(begin, end).filter(delivery__state=State.SENT).exclude(provider_ref="")
        for name, provider in able.items():
            calls = waiting.filter(provider=name).select_related("delivery")[:QUESTIONS]
            done += len(status.apply(name, _ask(provider, calls)))
        _reached("look-ups", end)
    return done


def _ask(provider: Provider, calls: Iterable[Attempt]) -> list[ProviderEvent]:
    """Nothing more of one that does not answer."""
    told: list[ProviderEvent] = []
    for call in calls:
        channel, to = Channel(call.delivery.channel), call.delivery.address
        inquiry = Inquiry(call.id, channel, to, {}, call.started_at, call.provider_ref)
        try:
            told += provider.status(inquiry)
        except ProviderError as error:
            log.warning("look-up failed", provider=provider.name, error=str(error))
            break
    return told


def _taken(begin: datetime, end: datetime) -> QuerySet[Attempt]:
    """The calls of that time that a provider took."""
    made = Attempt.objects.filter(id__gte=ids.floor(begin), id__lt=ids.floor(end))
    return made.filter(state=Attempt.State.ACCEPTED).order_by("id")


def _steps(name: str, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From where the job has come to `until`; at first from a day before."""
    row, _ = Progress.objects.get_or_create(name=name, defaults={"at": until - FIRST})
    begin = row.at
    for _ in range(STEPS):
        end = min(begin + STEP, until)
        if end <= begin:
            return
        yield begin, end
        begin = end


def _reached(name: str, at: datetime) -> None:
    Progress.objects.filter(name=name).update(at=at)
