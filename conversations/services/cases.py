"""Who writes to the support team by email or text message has a conversation with it."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import transaction

from conversations.models import Conversation, Entry, Participant
from conversations.services import start
from conversations.types import Actor, Kind, Status, Who
from notifications import addresses
from notifications.models import Address
from notifications.services import recipients
from notifications.types import Channel
from tracking.models import InboundMessage

_MOST_TITLE = 200


def client_id(message: InboundMessage) -> str:
    """Of its entry, so that it is written once."""
    return f"inbound:{message.id}"


def is_for_the_team(message: InboundMessage) -> bool:
    """By the address it was sent to. A short code or a name has no conversation: it cannot be
    answered.
    """
    to = message.to.casefold()
    channel = Channel(message.channel)
    try:
        addresses.normalise(channel, message.sender)
    except addresses.BadAddress:
        return False
    return to in {one.casefold() for one in settings.SUPPORT_ADDRESSES}


@transaction.atomic
def opened(message: InboundMessage) -> tuple[Actor, UUID]:
    """Its author, and their conversation: the one it stands in already, the last that is not closed,
    or a new one.
    """
    actor = Actor(Who.USER, _user_id(message))
    recipients.make(actor.id)  # held: two messages of one person open one conversation
    mine = Conversation.objects.filter(
        kind=Kind.SUPPORT,
        id__in=Participant.objects.filter(who=Who.USER, person_id=actor.id, left_at=None).values(
            "conversation_id"
        ),
    )
    known = Entry.objects.filter(
        conversation__in=mine, who=actor.who, person_id=actor.id, client_id=client_id(message)
    )
    place = known.values_list("conversation_id", flat=True).first()
    if place is None:
        still = mine.exclude(status=Status.CLOSED).order_by("-active_at")
        place = still.values_list("id", flat=True).first()
    if place is None:
        place = start.start(actor, Kind.SUPPORT, [], title=_title(message))[0].id
    return actor, place


def _user_id(message: InboundMessage) -> str:
    """The person with this address; else somebody who has it for a name from now on."""
    channel = Channel(message.channel)
    known = Address.objects.filter(channel=channel, value=message.sender)
    theirs = known.order_by("id").values_list("recipient__user_id", flat=True).first()
    if theirs is not None:
        return theirs
    user_id = f"{channel.value}:{message.sender}"[:200]
    recipients.add_address(user_id, channel, message.sender, is_verified=False)
    return user_id


def _title(message: InboundMessage) -> str:
    line = " ".join(message.subject.split())[:_MOST_TITLE]
    return "".join(sign for sign in line if sign.isprintable())
