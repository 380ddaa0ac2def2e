"""The numbers of a conversation: taken under its row's lock, so that none is left out or taken twice."""

from __future__ import annotations

from datetime import datetime

from commsproject.common.live import publish
from conversations.models import Change, Conversation, Entry

FEED = "conversations"


def next_entry(conversation: Conversation, now: datetime) -> tuple[int, int]:
    """The seq and number of a new entry. The caller holds the conversation."""
    conversation.last_seq += 1
    conversation.entries_made += 1
    conversation.active_at = now
    conversation.save(update_fields=["last_seq", "entries_made", "active_at"])
    publish.advanced(FEED, {str(conversation.id): conversation.last_seq})
    return conversation.last_seq, conversation.entries_made


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
