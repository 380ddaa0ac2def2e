"""Which conversations are in a person's list: told to them alone, since they follow no other yet."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from commsproject.common.live import publish
from conversations.models import Conversation

FEED = "own_conversations"
QUIET = timedelta(minutes=10)
"""After so long without a word clients may follow a conversation no more: the next one is told here.
Whoever follows the latest of theirs, as many as one connection may, misses none that way.
"""


def tell_listed(conversation: Conversation, user_ids: Collection[str]) -> None:
    """That it is in their lists from now on, or up in them again, to whoever of them is there."""
    frame = {"type": "joined", "conversation": str(conversation.id), "seq": conversation.last_seq}
    publish.ephemeral(FEED, list(user_ids), frame)
