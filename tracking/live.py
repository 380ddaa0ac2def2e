"""The dashboard's numbers on the socket: what has just been added to the rollups, for staff."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from typing_extensions import override

from commsproject.common.live.frames import MOMENT, ServerFrame
from commsproject.common.live.people import Kind
from commsproject.common.live.registry import Feed, Wish
from tracking.services import folding

_COUNT = {"type": "integer"}

MAY_SEE = "tracking.view_rollup"

ADDED = ServerFrame(
    folding.FEED,
    "What happened to messages since the last frame of this type. Staff only; it has no seq.",
    {"at": MOMENT, **dict.fromkeys(folding.LIVE, _COUNT)},
    example={
        "type": folding.FEED,
        "at": "2026-11-22T09:00:03+00:00",
        "accepted": 120,
        "sent": 118,
        "delivered": 97,
        "failed": 1,
        "bounced": 0,
    },
)


class AnalyticsFeed(Feed):
    """One key, `now`. Nothing of it is kept: the frames come as they are told, or not at all."""

    name = folding.FEED
    frames = ()
    passing = (ADDED,)

    @override
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        staff = {
            int(person.id)
            for person, key in wishes
            if person.kind is Kind.STAFF and key == folding.NOW
        }
        if not staff:
            return {}
        backend = "django.contrib.auth.backends.ModelBackend"
        rows = User.objects.with_perm(MAY_SEE, backend=backend).filter(pk__in=staff, is_staff=True)
        known = {str(pk) for pk in rows.values_list("pk", flat=True)}
        return {
            (person, key): 0
            for person, key in wishes
            if person.kind is Kind.STAFF and key == folding.NOW and person.id in known
        }

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        return {}

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        return ()
