"""What the calls of the inbox take and give."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from typing_extensions import override

from commsproject.common.api.serializers import Moment, StrictSerializer
from notifications.api.input import ActionInput, Line
from notifications.models import Announcement, InboxItem
from notifications.services import inbox

LONGEST_SNOOZE = timedelta(days=366)

# --- Output ----------------------------------------------------------------------------------


class ItemAction(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="What `POST inbox/act` names it by.")
    label = serializers.CharField()  # type: ignore[assignment]  # a field, as DRF has it
    link = serializers.CharField(help_text="Empty: a press is an answer.")
    style = serializers.ChoiceField(ActionInput.Style.choices)  # type: ignore[assignment]
    pressed_at = serializers.DateTimeField(allow_null=True)


class ItemOutput(serializers.Serializer[Any]):
    """One item, of a message or of an announcement."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(["notification", "announcement"], help_text="What it came from.")
    place = serializers.ChoiceField(InboxItem.Place.choices)
    title = serializers.CharField()
    body = serializers.CharField()
    link = serializers.CharField()
    image = serializers.CharField()
    category = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    actions = ItemAction(many=True)
    data = serializers.DictField(help_text="The message's `metadata`.")  # type: ignore[assignment]
    priority = serializers.ChoiceField(Announcement.Priority.choices)
    banner = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    shown_at = serializers.DateTimeField(help_text="The feed's order; later when it was snoozed.")
    seen_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()


class NumbersOutput(serializers.Serializer[Any]):
    """What to put into the socket's `subscribe`, to get all that comes after this answer."""

    inbox = serializers.IntegerField()
    announcements = serializers.IntegerField()


class TagCounts(serializers.Serializer[Any]):
    unseen = serializers.IntegerField()
    unread = serializers.IntegerField()


class CountsOutput(serializers.Serializer[Any]):
    unseen = serializers.IntegerField()
    unread = serializers.IntegerField()
    snoozed = serializers.IntegerField()
    tags = serializers.DictField(child=TagCounts())
    seq = NumbersOutput(source="numbers")


class ChangedOutput(serializers.Serializer[Any]):
    """What a change came to."""

    changed = serializers.IntegerField(help_text="Items; 0 where all were so already.")
    more = serializers.BooleanField(help_text="Not all yet: call again.")
    unknown = serializers.ListField(
        child=serializers.UUIDField(), help_text="Of the ids: those that are in no inbox of yours."
    )
    counts = CountsOutput()


PAGE = inline_serializer(
    "InboxPage",
    {
        "results": ItemOutput(many=True),
        "next": serializers.URLField(allow_null=True, help_text="Null on the last page."),
        "previous": serializers.URLField(allow_null=True, help_text="Null on the first page."),
        "seq": NumbersOutput(),
    },
)

# --- Input -----------------------------------------------------------------------------------


class Ids(serializers.ListField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            child=serializers.UUIDField(), min_length=1, max_length=inbox.MOST_IDS, **kwargs
        )


class ChangeInput(StrictSerializer):
    """Which items: by their ids, or all there are."""

    ids = Ids(required=False)
    all = serializers.BooleanField(default=False)
    before = Moment(required=False, help_text="All that came until then.")
    tag = Line(max_length=64, required=False, help_text="With `all` or `before`: of this tag.")

    @override
    def validate(self, attrs: Any) -> Any:
        if ("ids" in attrs) == (attrs["all"] or "before" in attrs):
            message = "Give `ids`, or else `all` or `before`."
            raise serializers.ValidationError({"ids": message}, code="which")
        if "ids" in attrs and "tag" in attrs:
            message = "With ids there is no tag."
            raise serializers.ValidationError({"tag": message}, code="which")
        return attrs


class UndoableInput(ChangeInput):
    undo = serializers.BooleanField(default=False, help_text="Of these ids, the other way round.")

    @override
    def validate(self, attrs: Any) -> Any:
        if attrs["undo"] and "ids" not in attrs:
            message = "What is to be undone is named."
            raise serializers.ValidationError({"ids": message}, code="required")
        return super().validate(attrs)


class SnoozeInput(StrictSerializer):
    ids = Ids()
    until = Moment(required=False, help_text="At most a year ahead.")
    undo = serializers.BooleanField(default=False, help_text="Back into the feed, as they were.")

    @override
    def validate(self, attrs: Any) -> Any:
        if attrs["undo"] == ("until" in attrs):
            message = "Give `until`, or else `undo`."
            raise serializers.ValidationError({"until": message}, code="required")
        now = timezone.now()
        if "until" in attrs and not now < attrs["until"] <= now + LONGEST_SNOOZE:
            message = "In the future, at most a year ahead."
            raise serializers.ValidationError({"until": message}, code="bad_time")
        return attrs


class ActInput(StrictSerializer):
    id = serializers.UUIDField()
    action = serializers.SlugField(max_length=40, help_text="The key of one of its actions.")
