"""Named groups of people."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from commsproject.common.errors import Conflict, NotFound
from notifications.models import Recipient, Topic, TopicMember

MAX_AT_ONCE = 5000
"""People who are added or removed in one request."""


def get(key: str) -> Topic:
    """Raises `NotFound`."""
    found = Topic.objects.filter(key=key).first()
    if found is None:
        raise NotFound("There is no topic with this key.")
    return found


def make(key: str, name: str) -> Topic:
    """Raises `Conflict` where there is one."""
    topic = Topic(key=key, name=name)
    Topic.objects.bulk_create([topic], ignore_conflicts=True)
    if not Topic.objects.filter(id=topic.id).exists():
        raise Conflict(f"There is a topic {key!r} already.")
    return topic


def members(topic: Topic) -> QuerySet[TopicMember]:
    return TopicMember.objects.filter(topic=topic).select_related("recipient")


def add(topic: Topic, user_ids: Collection[str]) -> int:
    """Add people, who may be new; how many were not there yet."""
    with transaction.atomic():
        people = [Recipient(user_id=user_id) for user_id in sorted(set(user_ids))]
        Recipient.objects.bulk_create(people, ignore_conflicts=True)
        before = members(topic).count()
        TopicMember.objects.bulk_create(
            [
                TopicMember(topic=topic, recipient_id=id_)
                for id_ in Recipient.objects.filter(user_id__in=user_ids).values_list(
                    "id", flat=True
                )
            ],
            ignore_conflicts=True,
        )
        return members(topic).count() - before


def remove(topic: Topic, user_ids: Collection[str]) -> int:
    """Take people out; how many were there."""
    return members(topic).filter(recipient__user_id__in=user_ids).delete()[0]
