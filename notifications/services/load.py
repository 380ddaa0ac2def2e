"""Claims that are carried together, and what is known of their deliveries meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog

from notifications import queue
from notifications.models import Work
from notifications.services.complete import Successor
from notifications.services.compose import Call
from notifications.services.waiting import Waiting
from notifications.services.window import CALLS
from notifications.types import ProviderError

log = structlog.get_logger(__name__)

LARGE = CALLS // 2
"""Deliveries; a claim of more is large."""

TOGETHER = 2 * Work.LIMIT
"""Deliveries of large claims that are carried together: two whole chunks, and what the largest
vendors take in one call.
"""


@dataclass(eq=False)
class Load:
    """Claims that are carried together, of one lane, channel and kind, and what is known of their
    deliveries while they are being sent. One message is a load of one; works share one so that they
    share its transactions.
    """

    leases: list[queue.Lease]
    calls: int = field(init=False)
    """Calls that may be out at a time: what its claims could have, each by itself."""
    closed: Callable[[Sequence[queue.Lease]], None] = lambda _: None
    """Told of claims that are over, while others of the load go on."""
    pending: list[UUID] = field(default_factory=list)
    owners: dict[UUID, queue.Lease] = field(default_factory=dict)
    refused_by: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    last_error: dict[UUID, ProviderError] = field(default_factory=dict)
    retry_after: dict[UUID, float] = field(default_factory=dict)
    """Seconds: the least that any provider asked for in this round."""
    waiting: Waiting = field(default_factory=Waiting)
    together: dict[UUID, int] = field(default_factory=dict)
    later: list[Successor] = field(default_factory=list)
    filling: dict[tuple[UUID, str, str, object], Successor] = field(default_factory=dict)
    """The successors that still have room, by flow, kind, reason and what is alike."""

    def __post_init__(self) -> None:
        self.owners = {id_: lease for lease in self.leases for id_ in lease.ids}
        self.pending = list(self.owners)
        self.calls = CALLS * max(1, sum(len(lease.ids) > LARGE for lease in self.leases))

    def stop(self) -> None:
        """Begin no call any more; what was not sent is put back."""
        self.waiting.stop()

    @property
    def is_stopped(self) -> bool:
        return self.waiting.is_stopped

    @property
    def first(self) -> queue.Lease:
        return self.leases[0]

    def drop(self, lost: Sequence[queue.Lease]) -> None:
        """Forget claims that are somebody else's now. Raises `LeaseLost` when none is left."""
        if not lost:
            return
        log.warning("lease lost", lane=self.first.lane.value, works=[str(one.id) for one in lost])
        gone = {lease.id for lease in lost}
        self.leases = [lease for lease in self.leases if lease.id not in gone]
        self.pending = [id_ for id_ in self.pending if self.owners[id_].id not in gone]
        if not self.leases:
            raise queue.LeaseLost

    def without(self, lease: queue.Lease) -> None:
        """Leave a claim out before anything is sent."""
        self.leases.remove(lease)
        self.pending = [id_ for id_ in self.pending if self.owners[id_] is not lease]

    def done(self, calls: Collection[Call]) -> list[queue.Lease]:
        """The claims of which nothing is pending and no call is out."""
        if not self.pending and not calls:
            return list(self.leases)
        busy = {self.owners[id_].id for id_ in self.pending}
        busy.update(item.lease.id for call in calls for item in call.items)
        return [lease for lease in self.leases if lease.id not in busy]

    def successors(self, done: Collection[queue.Lease]) -> list[Successor]:
        """The work that `done` claims leave behind."""
        theirs = {lease.id for lease in done}
        return [
            replace(one, lease=self.owners[ids[0]], ids=ids)
            for one in self.later
            if (ids := [id_ for id_ in one.ids if self.owners[id_].id in theirs])
        ]

    def close(self, done: Sequence[queue.Lease]) -> None:
        """Forget claims that are ended."""
        self.closed(done)
        theirs = {lease.id for lease in done}
        self.leases = [lease for lease in self.leases if lease.id not in theirs]
        for one in self.later:
            one.ids = [id_ for id_ in one.ids if self.owners[id_].id not in theirs]
