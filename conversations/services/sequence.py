"""The numbers of a conversation: taken under its row's lock, so that none is left out or taken twice."""

from __future__ import annotations

from commsproject.common.live import publish
from conversations.models import Change, Conversation, Entry

FEED = "conversations"


def note_change(conversation: Conversation, entry: Entry) -> int:
    """The seq of a change of `entry`, written down. The caller holds the conversation."""
    conversation.last_seq += 1
    conversation.save(update_fields=["last_seq"])
    seq = conversation.last_seq
    Change.objects.create(conversation=conversation, seq=seq, entry=entry)
    entry.changed_seq = seq
    entry.save(update_fields=["changed_seq"])
    publish.advanced(FEED, {str(conversation.id): seq})
    return seq
