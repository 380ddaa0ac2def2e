from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.serializers import validated
from commsproject.common.errors import Conflict
from conversations.api import shapes
from conversations.api.actors import actor
from conversations.api.views import View
from conversations.errors import NotAllowed
from conversations.services import notes

_EXAMPLE: dict[str, Any] = {
    "id": "019a0000-0000-7000-8000-000000000024",
    "conversation": "019a0000-0000-7000-8000-000000000021",
    "after_seq": 42,
    "author": {"kind": "agent", "id": "019a0000-0000-7000-8000-000000000001"},
    "client_id": "",
    "body": "The order was shipped twice.",
    "html": "<p>The order was shipped twice.</p>",
    "created_at": "2026-11-22T09:00:00Z",
}


class Notes(View):
    """What the team says among themselves about a support conversation."""

    allow_end_users = False

    @extend_schema(
        operation_id="notes_list",
        summary="The team's notes, the latest 200",
        description="For agents that take part. People get no note, here or anywhere.",
        responses=shapes.NoteOutput(many=True),
        examples=[OpenApiExample("One", value=_EXAMPLE, response_only=True)],
    )
    @can_fail(Conflict, NotAllowed)
    def get(self, request: Request, conversation_id: UUID) -> Response:
        return Response(notes.as_json(notes.of(actor(request), conversation_id)))

    @extend_schema(
        operation_id="notes_write",
        summary="Write a note for the team",
        description="201 where it is new, 200 where you wrote it before under this `client_id`.",
        request=shapes.NoteInput,
        responses={201: shapes.NoteOutput, 200: shapes.NoteOutput},
        examples=[
            OpenApiExample("A note", value={"body": _EXAMPLE["body"]}, request_only=True),
            OpenApiExample("Written", value=_EXAMPLE, response_only=True, status_codes=["201"]),
        ],
    )
    @can_fail(Conflict, NotAllowed)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        asked = validated(shapes.NoteInput, request)
        note, is_new = notes.add(actor(request), conversation_id, **asked)
        status = http.HTTP_201_CREATED if is_new else http.HTTP_200_OK
        return Response(notes.as_json([note])[0], status=status)
