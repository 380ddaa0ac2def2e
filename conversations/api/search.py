from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pagination import NewestFirst
from commsproject.common.api.serializers import Moment
from commsproject.common.api.streaming import download
from commsproject.common.errors import InvalidInput, NotFound
from conversations import access, examples
from conversations.api import shapes
from conversations.api.actors import actor
from conversations.api.views import View
from conversations.services import export, search
from conversations.services.search import Place, Wanted


class Search(View):
    """Look for words in all that you may read."""

    @extend_schema(
        operation_id="conversations_search",
        summary="Search what you may read, best first",
        description=(
            'All of the words, in any order; the last one may be the beginning of one. `"so"`: in '
            "these words. `-so`: not this. `a or b`: either. Of what has them the latest thousand "
            "are put in order. `snippet` is HTML, safe to put into a page."
        ),
        parameters=[
            OpenApiParameter("q", str, required=True),
            OpenApiParameter("conversation", UUID, description="In this one only."),
            OpenApiParameter("author", str, description="By this person or agent."),
            OpenApiParameter("from", datetime, description="ISO 8601, with its zone."),
            OpenApiParameter("to", datetime, description="Before this time."),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=shapes.SearchPage,
        examples=[
            OpenApiExample(
                "One found",
                value={
                    "results": [
                        {"entry": examples.ENTRY, "snippet": "See you at <mark>nine</mark>."}
                    ],
                    "next": None,
                    "previous": None,
                },
                response_only=True,
            )
        ],
    )
    @can_fail(NotFound)
    def get(self, request: Request) -> Response:
        limit = NewestFirst().get_page_size(request)
        found, following = search.find(
            actor(request), _wanted(request), after=_after(request), limit=limit
        )
        link = None
        if following is not None:
            url = request.build_absolute_uri()
            link = replace_query_param(url, "cursor", _cursor(following))
        return Response({"results": found, "next": link, "previous": None})


def _wanted(request: Request) -> Wanted:
    asked = request.query_params
    return Wanted(
        text=asked.get("q", ""),
        conversation_id=_uuid(asked.get("conversation")),
        author_id=asked.get("author", "").replace("\0", ""),
        since=_moment(request, "from"),
        until=_moment(request, "to"),
    )


def _uuid(asked: str | None) -> UUID | None:
    try:
        return UUID(asked) if asked is not None else None
    except ValueError:
        raise InvalidInput.of("conversation", "not_an_id", "The id of a conversation.") from None


def _moment(request: Request, name: str) -> datetime | None:
    asked = request.query_params.get(name)
    if asked is None:
        return None
    found: datetime = Moment(default_timezone=UTC).run_validation(asked)
    return found


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.rank, place.entry_id.hex]).encode()).decode()


def _after(request: Request) -> Place | None:
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return None
    try:
        rank, entry_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        place = Place(float(rank), UUID(entry_id))
        if not math.isfinite(place.rank):
            raise ValueError
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
        message = "Take the cursor from `next` of another page, unchanged."
        raise InvalidInput.of("cursor", "bad_cursor", message) from None
    return place


# --- Export --------------------------------------------------------------------------------------


class _Ndjson(JSONRenderer):
    """For the choice by `Accept` or `?format=` only; what it renders is a problem document."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class _Text(_Ndjson):
    media_type = "text/plain"
    format = "txt"


class Export(View):
    """A conversation as a file."""

    renderer_classes = (JSONRenderer, _Ndjson, _Text)

    @extend_schema(
        operation_id="conversations_export",
        summary="Download a conversation, from its first entry on",
        description="`?format=ndjson`: an entry a line. `txt`: to read. By `Accept` too.",
        parameters=[OpenApiParameter("format", str, enum=["json", "ndjson", "txt"])],
        responses={
            (200, "application/json"): shapes.EntryOutput(many=True),
            (200, "application/x-ndjson"): shapes.EntryOutput,
            (200, "text/plain"): str,
        },
    )
    def get(self, request: Request, conversation_id: UUID) -> StreamingHttpResponse:
        reader = actor(request)
        conversation = access.fetch(reader, conversation_id).conversation
        chosen = request.accepted_renderer.format
        return download(
            request._request,  # noqa: SLF001 - DRF has no public name for it
            _WRITERS[chosen](export.pieces(conversation, reader)),
            content_type=f"{request.accepted_renderer.media_type}; charset=utf-8",
            filename=f"conversation-{conversation.id}.{chosen}",
        )


_Pieces = Iterator[list[Mapping[str, Any]]]


def _json(pieces: _Pieces) -> Iterator[bytes]:
    between = b"["
    for piece in pieces:
        for entry in piece:
            yield between + json.dumps(entry, ensure_ascii=False).encode()
            between = b",\n"
    yield b"]\n" if between != b"[" else b"[]\n"


def _ndjson(pieces: _Pieces) -> Iterator[bytes]:
    for piece in pieces:
        yield "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in piece).encode()


def _text(pieces: _Pieces) -> Iterator[bytes]:
    for piece in pieces:
        yield "".join(map(export.line, piece)).encode()


_WRITERS = {"json": _json, "ndjson": _ndjson, "txt": _text}
