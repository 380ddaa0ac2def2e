from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pagination import NewestFirst
from commsproject.common.api.serializers import validated
from commsproject.common.errors import Conflict, InvalidInput
from conversations import access, selectors
from conversations.api import shapes
from conversations.api.actors import actor
from conversations.api.views import View
from conversations.errors import NotAllowed
from conversations.models import Conversation
from conversations.services import marks, start, support
from conversations.types import Actor, Kind, Role, Status

_ID = "019a0000-0000-7000-8000-000000000021"
_EXAMPLE: dict[str, Any] = {
    "id": _ID,
    "kind": "group",
    "title": "Trip to Oslo",
    "status": "",
    "assignee": None,
    "last_seq": 42,
    "latest": None,
    "participants": [
        {
            "kind": "user",
            "id": "u-42",
            "role": "owner",
            "read_seq": 42,
            "delivered_seq": 42,
            "joined_at": "2026-11-22T09:00:00Z",
        }
    ],
    "me": {
        "read_seq": 42,
        "unread": 0,
        "mentions": 0,
        "muted_until": None,
        "archived_at": None,
    },
    "active_at": "2026-11-22T09:00:00Z",
    "created_at": "2026-11-22T09:00:00Z",
}


class LatestFirst(NewestFirst):
    """By their last entries."""

    ordering = ("-active_at", "-id")  # type: ignore[assignment]  # the library takes both

    @override
    def check_position(self, position: str) -> None:
        datetime.fromisoformat(position)


def as_seen(who: Actor, conversation: Conversation) -> dict[str, Any]:
    return selectors.conversations_as_json(who, [conversation])[0]


class Conversations(View):
    """The threads that the caller takes part in."""

    @extend_schema(
        operation_id="conversations_list",
        summary="List your conversations, the latest active first",
        parameters=[
            OpenApiParameter("archived", bool, description="`true`: those in the archive."),
            OpenApiParameter("kind", str, enum=Kind.values),
            OpenApiParameter("status", str, enum=Status.values, description="Of support."),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=shapes.ConversationPage,
    )
    def get(self, request: Request) -> Response:
        who, asked = actor(request), request.query_params
        rows = selectors.of_person(
            who,
            archived=_choice(asked, "archived", ("true", "false")) == "true",
            kind=_choice(asked, "kind", Kind.values),
            status=_choice(asked, "status", Status.values),
        )
        paginator = LatestFirst()
        found = paginator.paginate_queryset(rows, request) or []
        return paginator.get_paginated_response(selectors.conversations_as_json(who, found))

    @extend_schema(
        operation_id="conversations_start",
        summary="Start a conversation",
        description="201 where it is new. Two people have one direct conversation: it is answered "
        "with 200 where they have it already.",
        request=shapes.ConversationInput,
        responses={201: shapes.ConversationOutput, 200: shapes.ConversationOutput},
        examples=[
            OpenApiExample(
                "A group",
                value={
                    "kind": "group",
                    "title": "Trip to Oslo",
                    "participants": ["u-43", "u-44"],
                },
                request_only=True,
            ),
            OpenApiExample("Started", value=_EXAMPLE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        asked, who = validated(shapes.ConversationInput, request), actor(request)
        conversation, is_new = start.start(
            who, Kind(asked["kind"]), asked["participants"], title=asked.get("title", "")
        )
        status = http.HTTP_201_CREATED if is_new else http.HTTP_200_OK
        return Response(as_seen(who, conversation), status=status)


def _choice(asked: Mapping[str, str], name: str, choices: Any) -> str:
    value = asked.get(name, "")
    if value and value not in choices:
        raise InvalidInput.of(name, "invalid_choice", f"One of {', '.join(choices)}.")
    return value


class ConversationById(View):
    """One of them."""

    @extend_schema(
        operation_id="conversations_get",
        summary="A conversation, with its people and your marks",
        responses=shapes.ConversationOutput,
        examples=[OpenApiExample("A group", value=_EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, conversation_id: UUID) -> Response:
        who = actor(request)
        return Response(as_seen(who, access.fetch(who, conversation_id).conversation))

    @extend_schema(
        operation_id="conversations_change",
        summary="Give a group another title, or a support conversation another status",
        request=shapes.ConversationChange,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict, NotAllowed)
    def patch(self, request: Request, conversation_id: UUID) -> Response:
        asked, who = validated(shapes.ConversationChange, request), actor(request)
        if "title" in asked:
            start.rename(who, conversation_id, asked["title"])
        if "status" in asked:
            support.set_status(who, conversation_id, Status(asked["status"]))
        return Response(as_seen(who, access.fetch(who, conversation_id).conversation))


class Participants(View):
    """Who takes part."""

    @extend_schema(
        operation_id="participants_list",
        summary="Who takes part, and how far they have read",
        responses=shapes.ParticipantOutput(many=True),
    )
    def get(self, request: Request, conversation_id: UUID) -> Response:
        who = actor(request)
        conversation = access.fetch(who, conversation_id).conversation
        return Response(as_seen(who, conversation)["participants"])

    @extend_schema(
        operation_id="participants_add",
        summary="Bring people in",
        description="They can read everything that was written before. Owners and admins may.",
        request=shapes.PeopleInput,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict, NotAllowed)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        asked, who = validated(shapes.PeopleInput, request), actor(request)
        membership = start.add(who, conversation_id, asked["user_ids"])
        return Response(as_seen(who, membership.conversation))


class ParticipantByUserId(View):
    """One of them."""

    @extend_schema(
        operation_id="participants_role",
        summary="Make somebody an admin, a member, or the owner in your place",
        request=shapes.RoleInput,
        responses={204: None},
    )
    @can_fail(Conflict, NotAllowed)
    def patch(self, request: Request, conversation_id: UUID, user_id: str) -> Response:
        role = validated(shapes.RoleInput, request)["role"]
        start.set_role(actor(request), conversation_id, user_id, Role(role))
        return Response(status=http.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="participants_remove",
        summary="Take somebody out, or leave: your own id",
        description="From then on it does not exist for them.",
        responses={204: None},
    )
    @can_fail(Conflict, NotAllowed)
    def delete(self, request: Request, conversation_id: UUID, user_id: str) -> Response:
        who = actor(request)
        start.leave(who, conversation_id, None if user_id == who.id else user_id)
        return Response(status=http.HTTP_204_NO_CONTENT)


class Read(View):
    @extend_schema(
        operation_id="conversations_read",
        summary="Say how far you have read",
        description="A mark never goes back. Safe to repeat.",
        request=shapes.MarkInput,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        seq, who = validated(shapes.MarkInput, request).get("seq"), actor(request)
        me = marks.read(who, conversation_id, seq)
        return Response(as_seen(who, me.conversation))


class Mute(View):
    @extend_schema(
        operation_id="conversations_mute",
        summary="Not be called back to it until then",
        request=shapes.MuteInput,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        until, who = validated(shapes.MuteInput, request)["until"], actor(request)
        me = marks.mute(who, conversation_id, until)
        return Response(as_seen(who, me.conversation))


class Archive(View):
    @extend_schema(
        operation_id="conversations_archive",
        summary="Put it away until something new is written",
        request=None,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        who = actor(request)
        return Response(as_seen(who, marks.archive(who, conversation_id, on=True).conversation))

    @extend_schema(
        operation_id="conversations_unarchive",
        summary="Take it out of the archive",
        responses={200: shapes.ConversationOutput},
    )
    def delete(self, request: Request, conversation_id: UUID) -> Response:
        who = actor(request)
        return Response(as_seen(who, marks.archive(who, conversation_id, on=False).conversation))


class Assign(View):
    allow_end_users = False

    @extend_schema(
        operation_id="conversations_assign",
        summary="Give a support conversation to somebody of the staff",
        request=shapes.AssignInput,
        responses=shapes.ConversationOutput,
    )
    @can_fail(Conflict, NotAllowed)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        assignee, who = validated(shapes.AssignInput, request)["assignee"], actor(request)
        return Response(as_seen(who, support.assign(who, conversation_id, assignee)))
