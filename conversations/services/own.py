"""Which conversations are in a person's list: told to them alone, since they follow no other yet."""

from __future__ import annotations

from collections.abc import Collection

from commsproject.common.live import publish
from conversations.models import Conversation

FEED = "own_conversations"


def tell_listed(conversation: Conversation, user_ids: Collection[str]) -> None:
    """That it is in their lists from now on, to whoever of them is there."""
    frame = {"type": "joined", "conversation": str(conversation.id), "seq": conversation.last_seq}
    publish.ephemeral(FEED, list(user_ids), frame)
