"""Announcements: what many people are told in their inboxes. An agent sees its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import Moment, StrictSerializer, validated
from commsproject.common.errors import InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications import weblinks
from notifications.api.inbox_fields import ItemOutput
from notifications.api.input import ActionsField, Line, MetadataField
from notifications.errors import AnnouncementState, TooManyAnnouncements
from notifications.models import Announcement
from notifications.services import announcements, inbox_feed

# --- Input -----------------------------------------------------------------------------------


class AudienceInput(StrictSerializer):
    """Exactly one of them."""

    all = serializers.BooleanField(required=False)
    user_ids = serializers.ListField(
        child=Line(max_length=200),
        required=False,
        min_length=1,
        max_length=announcements.MOST_PEOPLE,
        help_text=f"Up to {announcements.MOST_PEOPLE:,}.",
    )
    topic = serializers.SlugField(max_length=64, required=False)

    @override
    def validate(self, attrs: Any) -> Any:
        if len(attrs) != 1 or attrs.get("all") is False:
            message = "Say whom: all, user_ids or topic."
            raise serializers.ValidationError(message, code="required")
        if "topic" in attrs:
            return {"audience": Announcement.Audience.TOPIC, "topic": attrs["topic"]}
        if "user_ids" in attrs:
            return {"audience": Announcement.Audience.LIST, "user_ids": attrs["user_ids"]}
        return {"audience": Announcement.Audience.ALL}


class AnnouncementInput(StrictSerializer):
    """`POST /announcements`; `PATCH` takes any of them."""

    to = AudienceInput()
    title = Line(max_length=200)
    body = serializers.CharField(max_length=5000, required=False, allow_blank=True)
    link = Line(max_length=2000, required=False, allow_blank=True)
    image = Line(max_length=2000, required=False, allow_blank=True)
    actions = ActionsField(required=False)
    data = MetadataField(required=False)  # type: ignore[assignment]  # a field, as DRF has it
    category = serializers.SlugField(max_length=64, required=False, allow_blank=True)
    tags = serializers.ListField(child=Line(max_length=64), required=False, max_length=10)
    priority = serializers.ChoiceField(Announcement.Priority.choices, required=False)
    banner = serializers.BooleanField(required=False)
    starts_at = Moment(required=False, help_text="Now, unless told.")
    ends_at = Moment(
        required=False,
        help_text=f"{announcements.USUAL_TIME.days} days after the start, unless told.",
    )

    def validate_link(self, value: str) -> str:
        if value and not weblinks.is_link(value):
            message = "A link begins with https://, http://, mailto:, tel: or a single slash."
            raise serializers.ValidationError(message, code="bad_link")
        return value

    def validate_image(self, value: str) -> str:
        if value and not weblinks.is_image(value):
            message = "An image begins with https://, http:// or a single slash."
            raise serializers.ValidationError(message, code="bad_link")
        return value


# --- Output ----------------------------------------------------------------------------------


class AudienceOutput(serializers.Serializer[Any]):
    all = serializers.BooleanField(required=False)
    user_ids = serializers.ListField(child=serializers.CharField(), required=False)
    topic = serializers.SlugField(required=False)


class AnnouncementOutput(serializers.ModelSerializer[Announcement]):
    """An announcement. `shown` is what people get, until they do something with it."""

    to = serializers.SerializerMethodField()
    state = serializers.ChoiceField(Announcement.State.choices)
    shown = serializers.SerializerMethodField()

    class Meta:
        model = Announcement
        fields = ["id", "state", "to", "starts_at", "ends_at", "created_at", "shown"]

    @extend_schema_field(AudienceOutput)
    def get_to(self, row: Announcement) -> dict[str, Any]:
        if row.audience == Announcement.Audience.ALL:
            return {"all": True}
        if row.audience == Announcement.Audience.TOPIC:
            return {"topic": row.topic}
        return {"user_ids": row.user_ids}

    @extend_schema_field(ItemOutput)
    def get_shown(self, row: Announcement) -> dict[str, Any]:
        return inbox_feed.shown(announcements.as_item(row))


_ASKED = OpenApiExample(
    "To everyone, as a banner",
    value={
        "to": {"all": True},
        "title": "Maintenance on Sunday",
        "body": "From 02:00 to 04:00 UTC nothing can be ordered.",
        "link": "/status",
        "banner": True,
        "starts_at": "2026-11-27T08:00:00Z",
        "ends_at": "2026-11-29T04:00:00Z",
    },
    request_only=True,
)

# --- Views -----------------------------------------------------------------------------------

_READ_WRITE = {"GET": Scope.ANNOUNCEMENTS_READ, "POST": Scope.ANNOUNCEMENTS_WRITE}


class Announcements(APIView):
    """All of an agent's."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = _READ_WRITE

    @extend_schema(
        operation_id="announcements_make",
        summary="Make an announcement; it is a draft until it is published",
        request=AnnouncementInput,
        responses={201: AnnouncementOutput},
        examples=[_ASKED],
    )
    def post(self, request: Request) -> Response:
        made = announcements.make(agent(request).client, validated(AnnouncementInput, request))
        return Response(AnnouncementOutput(made).data, status=http.HTTP_201_CREATED)

    @extend_schema(
        operation_id="announcements_list",
        summary="List your announcements, newest first",
        parameters=[
            OpenApiParameter("state", str, enum=Announcement.State.values),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(AnnouncementOutput),
    )
    def get(self, request: Request) -> Response:
        rows = announcements.of_client(agent(request).client)
        if state := request.query_params.get("state"):
            if state not in Announcement.State.values:
                known = ", ".join(Announcement.State.values)
                raise InvalidInput.of("state", "unknown_state", f"One of: {known}.")
            rows = rows.filter(state=state)
        return page(rows, AnnouncementOutput, request)


class AnnouncementById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.ANNOUNCEMENTS_READ,
        "PATCH": Scope.ANNOUNCEMENTS_WRITE,
        "DELETE": Scope.ANNOUNCEMENTS_WRITE,
    }

    @extend_schema(
        operation_id="announcements_get",
        summary="One announcement, and how it looks in an inbox",
        responses=AnnouncementOutput,
    )
    def get(self, request: Request, announcement_id: UUID) -> Response:
        return Response(AnnouncementOutput(_own(request, announcement_id)).data)

    @extend_schema(
        operation_id="announcements_change",
        summary="Change a draft",
        request=AnnouncementInput,
        responses=AnnouncementOutput,
    )
    @can_fail(AnnouncementState)
    def patch(self, request: Request, announcement_id: UUID) -> Response:
        fields = validated(AnnouncementInput, request, partial=True)
        changed = announcements.edit(_own(request, announcement_id), fields)
        return Response(AnnouncementOutput(changed).data)

    @extend_schema(
        operation_id="announcements_discard", summary="Delete a draft", responses={204: None}
    )
    @can_fail(AnnouncementState)
    def delete(self, request: Request, announcement_id: UUID) -> Response:
        announcements.discard(_own(request, announcement_id))
        return Response(status=http.HTTP_204_NO_CONTENT)


class _Move(APIView):
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.ANNOUNCEMENTS_WRITE}

    def move(
        self, request: Request, key: UUID, act: Callable[[Announcement], Announcement]
    ) -> Response:
        return Response(AnnouncementOutput(act(_own(request, key))).data)


class PublishAnnouncement(_Move):
    @extend_schema(
        operation_id="announcements_publish",
        summary="Let it go live at its time, or within a second",
        description="What it says never changes after that. Safe to repeat.",
        request=None,
        responses=AnnouncementOutput,
    )
    @can_fail(AnnouncementState, TooManyAnnouncements)
    def post(self, request: Request, announcement_id: UUID) -> Response:
        return self.move(request, announcement_id, announcements.publish)


class EndAnnouncement(_Move):
    @extend_schema(
        operation_id="announcements_end",
        summary="Take it out of every inbox",
        description="Safe to repeat.",
        request=None,
        responses=AnnouncementOutput,
    )
    @can_fail(AnnouncementState)
    def post(self, request: Request, announcement_id: UUID) -> Response:
        return self.move(request, announcement_id, announcements.end)


def _own(request: Request, announcement_id: UUID) -> Announcement:
    return announcements.get(agent(request).client, announcement_id)
