"""The tables of conversations. One file per thing; import them from here."""

from __future__ import annotations

from conversations.models.attachment import Attachment
from conversations.models.conversation import Conversation, Participant
from conversations.models.entry import Change, Entry, Mention, Reaction, Revision
from conversations.models.reminder import Notice, Reminder
from conversations.models.team import Note, TeamMark

__all__ = [
    "Attachment",
    "Change",
    "Conversation",
    "Entry",
    "Mention",
    "Note",
    "Notice",
    "Participant",
    "Reaction",
    "Reminder",
    "Revision",
    "TeamMark",
]
