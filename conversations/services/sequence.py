"""The numbers of a conversation: taken under its row's lock, so that none is left out or taken twice."""

from __future__ import annotations

from commsproject.common.live import publish
from conversations.models import Change, Conversation, Entry

FEED = "conversations"


def note_change(conversation: Conversation, *entries: Entry) -> None:
    """Each change of an entry has a seq, and is written down. The caller holds the conversation."""
    for seq, entry in enumerate(entries, conversation.last_seq + 1):
        entry.changed_seq = seq
    conversation.last_seq += len(entries)
    conversation.save(update_fields=["last_seq"])
    Change.objects.bulk_create(
        Change(conversation=conversation, seq=entry.changed_seq, entry=entry) for entry in entries
    )
    Entry.objects.bulk_update(entries, ["changed_seq"], batch_size=500)
    publish.advanced(FEED, {str(conversation.id): conversation.last_seq})
