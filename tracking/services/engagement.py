"""Opens and clicks that our own links and image tell of."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from commsproject.common import ids
from notifications.models import Attempt
from notifications.services import status
from notifications.types import EventType, ProviderEvent
from tracking import machines
from tracking.models import Hit

SOURCE = "links"
"""Who tells of them, where events name their provider."""

SETTLED = timedelta(seconds=10)
"""By then a machine that follows all links of a message has done so."""

AT_ONCE = 500
ROUNDS = 5
"""Transactions of one run, at most: other jobs wait for it."""


def note(kind: Hit.Kind, attempt_id: UUID, machine: str, url: str = "") -> None:
    """One insert, whoever asks: whether there is such an attempt is seen later."""
    Hit.objects.create(kind=kind, attempt_id=attempt_id, machine=machine, url=_bare(url))


def _bare(url: str) -> str:
    """Without its query and fragment: these can name people, or let them in somewhere."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def run() -> int:
    """Make events of what has settled; the number of hits."""
    done = 0
    for _ in range(ROUNDS):
        taken = _take()
        done += taken
        if not taken:
            break
    return done


@transaction.atomic
def _take() -> int:
    """With a hit all others of its message are taken: seen one by one they would look like a
    person's.
    """
    settled = Hit.objects.filter(id__lt=ids.floor(timezone.now() - SETTLED)).order_by("id")
    attempts = set(settled.values_list("attempt_id", flat=True)[:AT_ONCE])
    hits = list(Hit.objects.filter(attempt_id__in=attempts).select_for_update().order_by("id"))
    ends = Attempt.objects.filter(id__in=attempts).values_list("id", "ended_at")
    by_machine = machines.by_time(hits, {id_: end for id_, end in ends if end})
    status.apply(SOURCE, [_event(hit, by_machine[hit.id]) for hit in hits], of_all=True)
    Hit.objects.filter(id__in=[hit.id for hit in hits]).delete()
    return len(hits)


def _event(hit: Hit, machine: str) -> ProviderEvent:
    """Of all alike within an hour the first is kept: whoever loads our image in a loop fills no table."""
    alike = f"{hit.attempt_id}:{hit.kind}:{machine}:{hit.url}:{hit.at:%Y%m%d%H}"
    data: dict[str, object] = {"machine": bool(machine)}
    if machine:
        data["why"] = machine
    if hit.url:
        data["url"] = hit.url
    return ProviderEvent(
        EventType(hit.kind),
        hit.at,
        hashlib.sha256(alike.encode()).hexdigest(),
        hit.attempt_id,
        data=data,
    )
