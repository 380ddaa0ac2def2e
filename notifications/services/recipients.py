"""People: made by the first message to them or by an agent, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from commsproject.common.errors import Conflict, NotFound
from notifications.models import Address, Recipient, Topic, TopicMember
from notifications.types import Channel

MAX_ADDRESSES = 20
"""Of one person and channel."""

COLUMNS = ("locale", "time_zone", "data", "paused_until")
"""What a caller may say of a person, beside their addresses."""


@dataclass(frozen=True, repr=False)
class Known:
    """What a caller says of one person. What `fields` leaves out stays as it is; addresses and
    topics are added to those there are.
    """

    user_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    addresses: Sequence[tuple[Channel, str]] = ()
    topics: Sequence[str] = ()


def get(user_id: str) -> Recipient:
    """Raises `NotFound`."""
    found = Recipient.objects.filter(user_id=user_id).first()
    if found is None:
        raise NotFound("There is no such person.")
    return found


def make(user_id: str) -> Recipient:
    """The person, who is new where nobody has written to them yet. Locked, in the transaction."""
    Recipient.objects.bulk_create([Recipient(user_id=user_id)], ignore_conflicts=True)
    return Recipient.objects.select_for_update(no_key=True).get(user_id=user_id)


def put(known: Sequence[Known]) -> dict[str, UUID]:
    """Write all of it in one transaction; the id of each person by user id.

    Raises `Conflict` where a person would have more than 20 addresses on a channel.
    """
    by_user = {one.user_id: one for one in known}
    with transaction.atomic():
        new = [Recipient(user_id=user_id) for user_id in sorted(by_user)]
        Recipient.objects.bulk_create(new, ignore_conflicts=True)
        rows = Recipient.objects.select_for_update(no_key=True).order_by("user_id")
        people = {row.user_id: row for row in rows.filter(user_id__in=by_user)}
        for one in known:
            for name in one.fields.keys() & set(COLUMNS):
                setattr(people[one.user_id], name, one.fields[name])
        Recipient.objects.bulk_update(people.values(), COLUMNS)
        _add_addresses(known, people)
        _add_topics(known, people)
    return {user_id: person.id for user_id, person in people.items()}


def _add_addresses(known: Sequence[Known], people: Mapping[str, Recipient]) -> None:
    rows = [
        Address(recipient=people[one.user_id], channel=channel, value=value)
        for one in known
        for channel, value in one.addresses
    ]
    Address.objects.bulk_create(rows, ignore_conflicts=True)
    for person in {row.recipient for row in rows}:
        for channel in Channel:
            if person.addresses.filter(channel=channel).count() > MAX_ADDRESSES:
                raise Conflict(
                    f"A person has at most {MAX_ADDRESSES} addresses on a channel; remove one."
                )


def _add_topics(known: Sequence[Known], people: Mapping[str, Recipient]) -> None:
    wanted = {key for one in known for key in one.topics}
    topics = {topic.key: topic for topic in Topic.objects.filter(key__in=wanted)}
    for key in wanted - topics.keys():
        raise NotFound(f"There is no topic {key!r}.")
    TopicMember.objects.bulk_create(
        [
            TopicMember(topic=topics[key], recipient=people[one.user_id])
            for one in known
            for key in one.topics
        ],
        ignore_conflicts=True,
    )


# --- Addresses -----------------------------------------------------------------------------------


def addresses_of(user_id: str) -> QuerySet[Address]:
    """Every read of one starts here."""
    return Address.objects.filter(recipient__user_id=user_id)


def add_address(
    user_id: str, channel: Channel, value: str, *, is_verified: bool
) -> tuple[Address, bool]:
    """The address, and whether it is new. What was verified stays so."""
    with transaction.atomic():
        make(user_id)
        known = addresses_of(user_id).filter(channel=channel, value=value)
        is_new = not known.exists()
        put([Known(user_id, addresses=[(channel, value)])])
        found = known.get()
        if is_verified and found.verified_at is None:
            found.verified_at = timezone.now()
            found.save(update_fields=["verified_at"])
    return found, is_new


def remove_address(user_id: str, address_id: UUID) -> None:
    """Raises `NotFound`."""
    gone, _ = addresses_of(user_id).filter(id=address_id).delete()
    if not gone:
        raise NotFound("This person has no address with this id.")
