"""What goes in and out, and examples of it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from typing_extensions import override

from commsproject.common.api.serializers import Moment, StrictSerializer, Text
from conversations import emoji
from conversations.markup import MAX_LENGTH
from conversations.services.attachments import MOST as MOST_FILES
from conversations.services.entries import MOST_MENTIONS
from conversations.services.start import MOST_PARTICIPANTS
from conversations.types import EntryKind, Kind, Medium, Role, Status, Who

# --- Input ---------------------------------------------------------------------------------------


class UserId(Text):
    """An id of the identity service: printable, on one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, trim_whitespace=False, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not value.isprintable() or not value.strip():
            raise serializers.ValidationError("Not the id of a person.", code="bad_user_id")
        return value


class Title(Text):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, allow_blank=True, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not value.isprintable():
            raise serializers.ValidationError("One line of text.", code="control_character")
        return value


class ConversationInput(StrictSerializer):
    """`POST /conversations`."""

    kind = serializers.ChoiceField(
        Kind.choices, help_text="Between two, of a group, or with the team."
    )
    participants = serializers.ListField(
        child=UserId(),
        max_length=MOST_PARTICIPANTS,
        default=list,
        help_text="User ids. You take part without being named.",
    )
    title = Title(required=False, help_text="Of a group or a support conversation.")


class ConversationChange(StrictSerializer):
    """`PATCH /conversations/{id}`."""

    title = Title(required=False)
    status = serializers.ChoiceField(
        Status.choices, required=False, help_text="Of a support conversation; by the team."
    )


class EntryInput(StrictSerializer):
    """`POST /conversations/{id}/entries`."""

    body = serializers.CharField(
        max_length=MAX_LENGTH,
        trim_whitespace=False,
        allow_blank=True,
        default="",
        help_text="A small part of Markdown: emphasis, code, quotes, lists, links.",
    )
    client_id = serializers.RegexField(
        r"^[\x21-\x7e]{1,64}$",
        required=False,
        help_text="Yours: the same one again is the same entry.",
    )
    reply_to = serializers.UUIDField(required=False, allow_null=True)
    mentions = serializers.ListField(child=UserId(), required=False, max_length=MOST_MENTIONS)
    attachments = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        max_length=MOST_FILES,
        help_text="What you uploaded before. With them the body may be empty.",
    )


class NoteInput(StrictSerializer):
    """`POST /conversations/{id}/notes`."""

    body = serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False)
    client_id = serializers.RegexField(
        r"^[\x21-\x7e]{1,64}$",
        required=False,
        help_text="Yours: the same one again is the same note.",
    )


class EntryChange(StrictSerializer):
    body = serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False, allow_blank=True)


class MarkInput(StrictSerializer):
    """`POST /conversations/{id}/read`."""

    seq = serializers.IntegerField(
        required=False, min_value=0, max_value=2**53 - 1, help_text="All there is without it."
    )


class PeopleInput(StrictSerializer):
    user_ids = serializers.ListField(child=UserId(), min_length=1, max_length=MOST_PARTICIPANTS)


class RoleInput(StrictSerializer):
    role = serializers.ChoiceField(Role.choices)


class ReactionInput(StrictSerializer):
    entry = serializers.UUIDField()
    emoji = Text(max_length=emoji.MAX_LENGTH, help_text="Any one emoji; no text.")


class EntryOfConversation(StrictSerializer):
    entry = serializers.UUIDField()


class MuteInput(StrictSerializer):
    until = Moment(allow_null=True, help_text="Null: not muted any more.")


class AssignInput(StrictSerializer):
    assignee = Text(
        max_length=20, allow_null=True, help_text="The id of somebody of the staff; null: nobody."
    )


# --- Output --------------------------------------------------------------------------------------


class SomebodyOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(Who.choices, help_text="What sort of account it is.")
    id = serializers.CharField()


class QuoteOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    author = SomebodyOutput()
    excerpt = serializers.CharField()
    deleted = serializers.BooleanField()


class ReactionOutput(serializers.Serializer[Any]):
    emoji = serializers.CharField()
    by = SomebodyOutput(many=True)


class AttachmentOutput(serializers.Serializer[Any]):
    """A file, of a type that its content has."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    has_thumbnail = serializers.BooleanField()


class LinksOutput(AttachmentOutput):
    """A file with links that are yours, for five minutes."""

    url = serializers.URLField()
    thumbnail_url = serializers.URLField(allow_null=True)
    expires_at = serializers.DateTimeField()


class EntryOutput(serializers.Serializer[Any]):
    """Something written, or a note of what happened."""

    id = serializers.UUIDField()
    conversation = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="Its place.")
    changed_seq = serializers.IntegerField(help_text="Of its latest change; else as `seq`.")
    kind = serializers.ChoiceField(
        EntryKind.choices, help_text="Something written, or something that happened."
    )
    author = SomebodyOutput()
    medium = serializers.ChoiceField(Medium.choices, help_text="How it came, or went out.")
    client_id = serializers.CharField()
    body = serializers.CharField(help_text="As it was written; empty once deleted.")
    html = serializers.CharField(help_text="Safe to put into a page.")
    event = serializers.DictField(
        allow_null=True, help_text="Of a system entry. People are told of no work of the team."
    )
    reply_to = QuoteOutput(allow_null=True)
    mentions = serializers.ListField(child=serializers.CharField())
    reactions = ReactionOutput(many=True)
    attachments = AttachmentOutput(many=True)
    pinned_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    deleted_at = serializers.DateTimeField(allow_null=True)


class NoteOutput(serializers.Serializer[Any]):
    """What the team says among themselves."""

    id = serializers.UUIDField()
    conversation = serializers.UUIDField()
    after_seq = serializers.IntegerField(help_text="It stands after this seq of the conversation.")
    author = SomebodyOutput()
    client_id = serializers.CharField()
    body = serializers.CharField()
    html = serializers.CharField(help_text="Safe to put into a page.")
    created_at = serializers.DateTimeField()


class HistoryOutput(serializers.Serializer[Any]):
    """A piece of a conversation, in order."""

    results = EntryOutput(many=True)
    next = serializers.URLField(allow_null=True, help_text="What comes after; null: nothing yet.")
    previous = serializers.URLField(allow_null=True, help_text="What was before.")
    last_seq = serializers.IntegerField(help_text="Of the conversation: subscribe from here.")


class ParticipantOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(Who.choices, help_text="What sort of account it is.")
    id = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    read_seq = serializers.IntegerField()
    delivered_seq = serializers.IntegerField()
    joined_at = serializers.DateTimeField()


class MarksOutput(serializers.Serializer[Any]):
    read_seq = serializers.IntegerField()
    unread = serializers.IntegerField()
    mentions = serializers.IntegerField(help_text="Of you, unread.")
    muted_until = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)


class ConversationOutput(serializers.Serializer[Any]):
    """A conversation as you see it."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(
        Kind.choices, help_text="Between two, of a group, or with the team."
    )
    title = serializers.CharField()
    status = serializers.CharField(help_text="Of a support conversation.")
    assignee = serializers.CharField(
        allow_null=True,
        help_text="Who of the staff looks after it; null while nobody does, and to people.",
    )
    last_seq = serializers.IntegerField()
    latest = EntryOutput(allow_null=True)
    participants = ParticipantOutput(many=True)
    me = MarksOutput(allow_null=True)
    active_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()


class ConversationPage(serializers.Serializer[Any]):
    results = ConversationOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class FoundOutput(serializers.Serializer[Any]):
    entry = EntryOutput()
    snippet = serializers.CharField(help_text="HTML: what was looked for is in `mark`.")


class SearchPage(serializers.Serializer[Any]):
    results = FoundOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
