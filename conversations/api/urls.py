from __future__ import annotations

from django.urls import path

from conversations.api.attachments import AttachmentById, Attachments
from conversations.api.conversations import (
    Archive,
    Assign,
    ConversationById,
    Conversations,
    Mute,
    ParticipantByUserId,
    Participants,
    Read,
)
from conversations.api.entries import Entries, EntryById, Pins, Reactions
from conversations.api.notes import Notes
from conversations.api.search import Export, Search

_ONE = "conversations/<uuid:conversation_id>"

urlpatterns = [
    path("conversations", Conversations.as_view(), name="conversations"),
    path("conversations/search", Search.as_view(), name="conversations-search"),
    path(_ONE, ConversationById.as_view(), name="conversation"),
    path(f"{_ONE}/export", Export.as_view(), name="conversation-export"),
    path(f"{_ONE}/entries", Entries.as_view(), name="entries"),
    path(f"{_ONE}/entries/<uuid:entry_id>", EntryById.as_view(), name="entry"),
    path(f"{_ONE}/notes", Notes.as_view(), name="conversation-notes"),
    path(f"{_ONE}/attachments", Attachments.as_view(), name="attachments"),
    path(f"{_ONE}/attachments/<uuid:attachment_id>", AttachmentById.as_view(), name="attachment"),
    path(f"{_ONE}/participants", Participants.as_view(), name="participants"),
    path(f"{_ONE}/participants/<str:user_id>", ParticipantByUserId.as_view(), name="participant"),
    path(f"{_ONE}/read", Read.as_view(), name="conversation-read"),
    path(f"{_ONE}/reactions", Reactions.as_view(), name="reactions"),
    path(f"{_ONE}/pins", Pins.as_view(), name="pins"),
    path(f"{_ONE}/mute", Mute.as_view(), name="conversation-mute"),
    path(f"{_ONE}/archive", Archive.as_view(), name="conversation-archive"),
    path(f"{_ONE}/assign", Assign.as_view(), name="conversation-assign"),
]
