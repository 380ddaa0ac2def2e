"""One message to everybody of a topic: a batch whose rows are its people."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.models import ApiClient
from notifications.models import Batch, Topic
from notifications.services import bulk, topics
from notifications.services.asked import Row, Target
from notifications.services.bulk import BatchRequest


@dataclass(frozen=True)
class Topical:
    """The people of a topic, but for those of `exclude`: topics, or single people by user id.

    Who is in several is written to once.
    """

    topic: str
    exclude: Collection[str] = ()
    exclude_topics: Collection[str] = ()


def send(client: ApiClient, request: BatchRequest, to: Topical) -> tuple[Batch, bool]:
    """As `bulk.receive`. Raises `InvalidInput`, also where nobody is left."""
    return bulk.receive(client, request, _Members(_topic("topic", to.topic), to))


class _Members:
    def __init__(self, topic: Topic, to: Topical) -> None:
        self._to = to
        left_out = [_topic("exclude_topics", key) for key in to.exclude_topics]
        rows = topics.members(topic).exclude(recipient__user_id__in=to.exclude)
        for other in left_out:
            rows = rows.exclude(recipient__in=topics.members(other).values("recipient"))
        self._user_ids = rows.order_by("id").values_list("recipient__user_id", flat=True)

    def rows(self) -> Iterator[Row]:
        for number, user_id in enumerate(self._user_ids.iterator(chunk_size=2000), 1):
            yield Row(Target(user_id=user_id), number=number)

    def digest(self) -> bytes:
        """Who comes and goes between two requests with the same key makes no other request."""
        named = "\0".join([self._to.topic, *self._to.exclude, *self._to.exclude_topics])
        return hashlib.sha256(named.encode()).digest()


def _topic(field: str, key: str) -> Topic:
    try:
        return topics.get(key)
    except NotFound:
        raise InvalidInput.of(
            f"to.{field}", "unknown_topic", f"There is no topic {key!r}."
        ) from None
