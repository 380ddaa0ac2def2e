"""What people write by email or text message becomes an entry of theirs: an answer in the conversation
that it answers, anything else to the support team in one with the team.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import structlog
from django.utils import timezone

from commsproject.common import ids
from commsproject.common.errors import CommsError
from conversations import reply_to
from conversations.markup import MAX_LENGTH
from conversations.models import Participant
from conversations.services import cases, entries
from conversations.types import Actor, Medium, Who
from notifications import addresses
from notifications.models import Address
from notifications.types import Channel
from tracking.models import InboundMessage

log = structlog.get_logger(__name__)

RECENT = timedelta(hours=1)


def take(ids: Iterable[UUID]) -> int:
    """Of the messages, how many are entries now. Safe to repeat."""
    rows = InboundMessage.objects.filter(
        id__in=list(ids), is_automatic=False, is_forged=False, wish=""
    )
    return sum(_take(row) for row in rows.order_by("id"))


def take_recent() -> int:
    """What came in while nobody listened: the signal is told once, and a process may die with it."""
    rows = InboundMessage.objects.filter(id__gte=ids.floor(timezone.now() - RECENT))
    return take(rows.values_list("id", flat=True))


def _take(message: InboundMessage) -> bool:
    text = message.text.replace("\0", "").strip()[:MAX_LENGTH]
    if not text:
        return False
    place = _place(message)
    if place is None:
        return False
    actor, conversation_id = place
    try:
        entries.post(
            actor,
            conversation_id,
            text,
            medium=Medium(message.channel),
            client_id=cases.client_id(message),
        )
    except CommsError as error:  # they have left it meanwhile
        log.info("answer not written", inbound=str(message.id), error=error.code)
        return False
    return True


def _place(message: InboundMessage) -> tuple[Actor, UUID] | None:
    """Whose it is, and in which conversation: of an answer the one it answers, of a message to the
    support team one of theirs. None: it is neither.
    """
    me = _author(message)
    if me is not None:
        return Actor(Who.USER, me.person_id), me.conversation_id
    return cases.opened(message) if cases.is_for_the_team(message) else None


def _author(message: InboundMessage) -> Participant | None:
    """Whose answer it is. An email must come to the signed address of a participant, and from one
    of their own, which the provider that took it in has not found forged; a text message from the number that the notice went to.
    """
    people = Participant.objects.filter(who=Who.USER, left_at=None)
    if message.channel == Channel.EMAIL:
        id_ = reply_to.participant(message.to)
        me = people.filter(id=id_).first() if id_ else None
        return me if me is not None and _is_theirs(message, me) else None
    if message.notification_id is None:
        return None
    return people.filter(notices=message.notification_id).first()


def _is_theirs(message: InboundMessage, me: Participant) -> bool:
    known = Address.objects.filter(
        recipient__user_id=me.person_id, channel=message.channel
    ).values_list("value", flat=True)
    return message.sender_hash in {addresses.digest(Channel.EMAIL, one) for one in known}
