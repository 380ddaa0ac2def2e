from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from commsproject.common.api.openapi import BODY_AS_POST, UnsupportedMediaType, can_fail
from commsproject.common.api.problems import TooLarge
from commsproject.common.api.serializers import Moment, validated
from commsproject.common.errors import InvalidInput, NotFound
from conversations import access, examples, selectors
from conversations.api import shapes
from conversations.api.actors import actor
from conversations.api.views import View
from conversations.errors import Gone, NotAllowed
from conversations.models import Conversation, Entry
from conversations.services import entries
from conversations.types import Actor

LIMIT = 50


def _answer(entry: Entry, status: int = http.HTTP_200_OK) -> Response:
    return Response(selectors.as_json([entry])[0], status=status)


class Entries(View):
    """What was written."""

    @extend_schema(
        operation_id="entries_list",
        summary="Read a conversation",
        description=(
            "Without anything: the latest ones. `before`: those before a seq, to scroll back; `from`: "
            "those from a seq on, to scroll forth. `around`: those around an entry, by its id. `date`: "
            "from the first entry at that time on. `after`: what was written or has changed since a "
            "seq, to catch up; in the order of `changed_seq`. Always oldest first."
        ),
        parameters=[
            OpenApiParameter("after", int),
            OpenApiParameter("around", UUID),
            OpenApiParameter("before", int),
            OpenApiParameter("date", str, description="ISO 8601, with its zone."),
            OpenApiParameter("from", int),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=shapes.HistoryOutput,
        examples=[
            OpenApiExample(
                "One entry",
                value={"results": [examples.ENTRY], "next": None, "previous": None, "last_seq": 42},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, conversation_id: UUID) -> Response:
        reader = actor(request)
        conversation = access.fetch(reader, conversation_id).conversation
        page = _page(request, reader, conversation)
        return Response(
            {
                "results": selectors.as_seen(reader, page.entries),
                "next": _link(request, *page.next) if page.next else None,
                "previous": _link(request, "before", page.before) if page.before else None,
                "last_seq": conversation.last_seq,
            }
        )

    @extend_schema(
        operation_id="entries_write",
        summary="Write into a conversation",
        description="201 where it is new, 200 where you wrote it before under this `client_id`.",
        request=shapes.EntryInput,
        responses={201: shapes.EntryOutput, 200: shapes.EntryOutput},
        examples=[
            OpenApiExample(
                "Hello",
                value={"body": "See you at **nine**.", "client_id": "c-1"},
                request_only=True,
            ),
            OpenApiExample(
                "Written", value=examples.ENTRY, response_only=True, status_codes=["201"]
            ),
        ],
    )
    @can_fail(Gone)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        asked = validated(shapes.EntryInput, request)
        entry, is_new = entries.post(actor(request), conversation_id, **asked)
        return _answer(entry, http.HTTP_201_CREATED if is_new else http.HTTP_200_OK)


_PLACES = ("after", "around", "before", "date", "from")


@dataclass(frozen=True)
class _Page:
    """Entries; what was before them is before a seq, and what comes next at a place."""

    entries: list[Entry]
    before: int | None = None
    next: tuple[str, int] | None = None


def _page(request: Request, reader: Actor, conversation: Conversation) -> _Page:
    """Raises `InvalidInput`, `NotFound`."""
    limit, place = _limit(request), _place(request)
    match place:
        case "after":
            return _changed(conversation, reader, _whole(request, place), limit)
        case "around":
            return _around(conversation, reader, _id(request), limit)
        case "date":
            seq = selectors.at(conversation, _date(request))
            return _onward(conversation, reader, seq, limit)
        case "from":
            return _onward(conversation, reader, _whole(request, place), limit)
        case "before":
            seq = _whole(request, place)
            found, more = selectors.history(conversation, reader, before=seq, limit=limit)
            return _Page(found, found[0].seq if more else None, ("from", seq) if found else None)
    found, more = selectors.history(conversation, reader, limit=limit)
    return _Page(found, found[0].seq if more else None)


def _changed(conversation: Conversation, reader: Actor, after: int, limit: int) -> _Page:
    found, more = selectors.news(conversation, reader, after=after, limit=limit)
    newer = ("after", found[-1].changed_seq) if more else None
    return _Page(found, after + 1 if after else None, newer)


def _onward(conversation: Conversation, reader: Actor, seq: int, limit: int) -> _Page:
    found, more = selectors.onward(conversation, reader, since=seq, limit=limit)
    return _Page(found, seq if seq > 1 else None, ("from", found[-1].seq + 1) if more else None)


def _around(conversation: Conversation, reader: Actor, entry_id: UUID, limit: int) -> _Page:
    entry = selectors.entries_of(conversation, reader).filter(id=entry_id).first()
    if entry is None:
        raise NotFound("There is no such entry in this conversation.")
    half = limit // 2
    older, more = selectors.history(conversation, reader, before=entry.seq, limit=half)
    rest = _onward(conversation, reader, entry.seq, limit - len(older))
    found = [*older, *rest.entries]
    return _Page(found, found[0].seq if more else None, rest.next)


def _place(request: Request) -> str | None:
    """What the page is asked for by."""
    given = [name for name in _PLACES if name in request.query_params]
    if len(given) > 1:
        raise InvalidInput.of(given[1], "one_of", f"Give one of {', '.join(_PLACES)}.")
    return given[0] if given else None


def _limit(request: Request) -> int:
    limit = _whole(request, "limit") if "limit" in request.query_params else LIMIT
    if not 1 <= limit <= selectors.MOST:
        raise InvalidInput.of("limit", "bad_limit", f"A whole number from 1 to {selectors.MOST}.")
    return limit


def _whole(request: Request, name: str) -> int:
    asked = request.query_params[name]
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 15):
        raise InvalidInput.of(name, "not_a_number", "A whole number.")
    return int(asked)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.query_params["around"])
    except ValueError:
        raise InvalidInput.of("around", "not_an_id", "The id of an entry.") from None


def _date(request: Request) -> Any:
    return Moment(default_timezone=UTC).run_validation(request.query_params["date"])


def _link(request: Request, name: str, seq: int) -> str:
    url = request.build_absolute_uri(request.path)
    if limit := request.query_params.get("limit"):
        url = replace_query_param(url, "limit", limit)
    return str(replace_query_param(url, name, seq))


class EntryById(View):
    """One of them."""

    @extend_schema(
        operation_id="entries_edit",
        summary="Change what you wrote",
        description="Others see that it was edited; what it said before is kept.",
        request=shapes.EntryChange,
        responses=shapes.EntryOutput,
    )
    @can_fail(Gone, NotAllowed)
    def patch(self, request: Request, conversation_id: UUID, entry_id: UUID) -> Response:
        body = validated(shapes.EntryChange, request)["body"]
        return _answer(entries.edit(actor(request), conversation_id, entry_id, body))

    @extend_schema(
        operation_id="entries_delete",
        summary="Delete an entry",
        description="Its place stays, its words do not. Your own, or as an admin anybody's.",
        responses={204: None},
    )
    @can_fail(NotAllowed)
    def delete(self, request: Request, conversation_id: UUID, entry_id: UUID) -> Response:
        entries.delete(actor(request), conversation_id, entry_id)
        return Response(status=http.HTTP_204_NO_CONTENT)


class Reactions(View):
    """Emoji at entries."""

    @extend_schema(
        operation_id="reactions_add",
        summary="Put an emoji at an entry",
        request=shapes.ReactionInput,
        responses=shapes.EntryOutput,
        examples=[
            OpenApiExample(
                "Thumbs up", value={"entry": examples.ENTRY["id"], "emoji": "👍"}, request_only=True
            )
        ],
    )
    @can_fail(Gone)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        return self._react(request, conversation_id, on=True)

    @extend_schema(
        operation_id="reactions_remove",
        summary="Take your emoji away",
        request=shapes.ReactionInput,
        extensions=BODY_AS_POST,
        responses={200: shapes.EntryOutput},
    )
    @can_fail(TooLarge, UnsupportedMediaType)
    def delete(self, request: Request, conversation_id: UUID) -> Response:
        return self._react(request, conversation_id, on=False)

    def _react(self, request: Request, conversation_id: UUID, *, on: bool) -> Response:
        asked = validated(shapes.ReactionInput, request)
        return _answer(
            entries.react(actor(request), conversation_id, asked["entry"], asked["emoji"], on=on)
        )


class Pins(View):
    """Entries that everybody finds again."""

    @extend_schema(
        operation_id="pins_list",
        summary="What is pinned, the latest first",
        responses=shapes.EntryOutput(many=True),
    )
    def get(self, request: Request, conversation_id: UUID) -> Response:
        conversation = access.fetch(actor(request), conversation_id).conversation
        return Response(selectors.as_json(selectors.pinned(conversation)))

    @extend_schema(
        operation_id="pins_add",
        summary="Pin an entry",
        request=shapes.EntryOfConversation,
        responses=shapes.EntryOutput,
    )
    @can_fail(Gone, NotAllowed)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        return self._pin(request, conversation_id, on=True)

    @extend_schema(
        operation_id="pins_remove",
        summary="Unpin an entry",
        request=shapes.EntryOfConversation,
        extensions=BODY_AS_POST,
        responses={200: shapes.EntryOutput},
    )
    @can_fail(NotAllowed, TooLarge, UnsupportedMediaType)
    def delete(self, request: Request, conversation_id: UUID) -> Response:
        return self._pin(request, conversation_id, on=False)

    def _pin(self, request: Request, conversation_id: UUID, *, on: bool) -> Response:
        entry_id = validated(shapes.EntryOfConversation, request)["entry"]
        return _answer(entries.pin(actor(request), conversation_id, entry_id, on=on))
