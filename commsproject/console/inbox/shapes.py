"""What the page's script sends."""

from __future__ import annotations

from rest_framework import serializers

from commsproject.common.api.serializers import StrictSerializer
from conversations.api.shapes import (
    EntryChange,
    EntryInput,
    EntryOfConversation,
    ReactionInput,
)
from conversations.types import Medium, Status


class ReplyInput(EntryInput):
    mentions = None  # type: ignore[assignment]  # how a form leaves out a field of its parent
    medium = serializers.ChoiceField(Medium.choices)


class AssignInput(StrictSerializer):
    """`seen`: who has it, as far as the one who assigns it knows."""

    assignee = serializers.CharField(allow_null=True, max_length=20)
    seen = serializers.CharField(allow_null=True, max_length=20)


class StatusInput(StrictSerializer):
    status = serializers.ChoiceField([Status.OPEN, Status.CLOSED])


class UnreadInput(StrictSerializer):
    on = serializers.BooleanField()


class EditInput(EntryOfConversation, EntryChange):
    pass


class ReactInput(ReactionInput):
    on = serializers.BooleanField()
