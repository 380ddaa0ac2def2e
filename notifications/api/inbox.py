"""The caller's own inbox: for people with their own token, for no agent."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pagination import NewestFirst
from commsproject.common.api.serializers import validated
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.identity.principals import EndUser, principal
from commsproject.common.identity.scopes import Scope
from notifications.api.inbox_fields import (
    PAGE,
    ActInput,
    ChangedOutput,
    ChangeInput,
    CountsOutput,
    ItemOutput,
    NumbersOutput,
    SnoozeInput,
    UndoableInput,
)
from notifications.api.people import permitted
from notifications.errors import AlreadyAnswered
from notifications.models import InboxItem
from notifications.services import inbox, inbox_feed
from notifications.services.inbox import Change, Changed
from notifications.services.inbox_feed import Filter, Position

MOST_TAGS = 50

_NOBODY: Mapping[str, Scope | None] = {}
_ITEM = inbox_feed.EXAMPLE
_SEQ = {"inbox": 18, "announcements": 3}
_COUNTS = {
    "unseen": 1,
    "unread": 3,
    "snoozed": 0,
    "tags": {"order": {"unseen": 1, "unread": 2}},
    "seq": _SEQ,
}
_CHANGED = OpenApiExample(
    "Changed",
    value={"changed": 1, "more": False, "unknown": [], "counts": {**_COUNTS, "tags": {}}},
    response_only=True,
)
_BY_ID = OpenApiExample("By id", value={"ids": [_ITEM["id"]]}, request_only=True)
_ALL = OpenApiExample("All of a tab", value={"all": True, "tag": "order"}, request_only=True)


class _OwnInbox(APIView):
    required_scopes: ClassVar[Mapping[str, Scope | None]] = _NOBODY
    allow_end_users = True


class Inbox(_OwnInbox):
    """The feed."""

    @extend_schema(
        operation_id="inbox_list",
        summary="Your inbox, newest first",
        description=(
            "With a tag or category a page may be shorter than asked for: go on while there is a "
            "`next`."
        ),
        parameters=[
            OpenApiParameter("filter", str, enum=Filter.values, description="`all` unless told."),
            OpenApiParameter("tag", str),
            OpenApiParameter("category", str),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=PAGE,
        examples=[
            OpenApiExample(
                "A page",
                value={"results": [_ITEM], "next": None, "previous": None, "seq": _SEQ},
                response_only=True,
            )
        ],
    )
    @can_fail(NotFound)
    def get(self, request: Request) -> Response:
        query = request.query_params
        person = inbox_feed.person(_user(request))
        numbers = inbox_feed.numbers(person)  # before the items: what comes between comes twice
        found = inbox_feed.page(
            person,
            _filter(query.get("filter", Filter.ALL.value)),
            limit=NewestFirst().get_page_size(request),
            tag=_plain("tag", query.get("tag", "")),
            category=_plain("category", query.get("category", "")),
            **_positions(query.get("cursor", "")),
        )
        return Response(
            {
                "results": [inbox_feed.shown(item) for item in found.items],
                "next": _link(request, "o", found.older),
                "previous": _link(request, "n", found.newer),
                "seq": NumbersOutput(numbers).data,
            }
        )


class InboxCounts(_OwnInbox):
    """The numbers on the bell and on the tabs."""

    @extend_schema(
        operation_id="inbox_counts",
        summary="How many items are unseen, unread, snoozed; also by tag",
        parameters=[
            OpenApiParameter("tag", str, many=True, description=f"Up to {MOST_TAGS}, one by one.")
        ],
        responses=CountsOutput,
        examples=[OpenApiExample("Counts", value=_COUNTS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        tags = [_plain("tag", tag) for tag in request.query_params.getlist("tag")]
        if len(tags) > MOST_TAGS:
            raise InvalidInput.of("tag", "too_many", f"At most {MOST_TAGS} tags.")
        found = inbox_feed.counts(inbox_feed.person(_user(request)), tags)
        return Response(CountsOutput(found).data)


class MarkSeen(_OwnInbox):
    """Those of `ids`, or `all`, or those from `before` a moment; both with a `tag` if you like. Safe to
    repeat. `more` says: call again.
    """

    @extend_schema(
        operation_id="inbox_seen",
        summary="They were shown",
        request=ChangeInput,
        responses=ChangedOutput,
        examples=[_BY_ID, _CHANGED],
    )
    @can_fail(NotFound)
    def post(self, request: Request) -> Response:
        return _changed(request, validated(ChangeInput, request), Filter.UNSEEN, inbox.see)


class MarkRead(_OwnInbox):
    """Those of `ids`, or `all`, or those from `before` a moment; both with a `tag` if you like. Safe to
    repeat. `more` says: call again.
    """

    @extend_schema(
        operation_id="inbox_read",
        summary="They were read, or with `undo` not",
        request=UndoableInput,
        responses=ChangedOutput,
        examples=[_BY_ID, _ALL, _CHANGED],
    )
    @can_fail(NotFound)
    def post(self, request: Request) -> Response:
        asked = validated(UndoableInput, request)
        change = inbox.unread if asked["undo"] else inbox.read
        return _changed(request, asked, Filter.UNREAD, change)


class Archive(_OwnInbox):
    """Those of `ids`, or `all`, or those from `before` a moment; both with a `tag` if you like. Safe to
    repeat. `more` says: call again.
    """

    @extend_schema(
        operation_id="inbox_archive",
        summary="Out of the feed, or with `undo` back",
        request=UndoableInput,
        responses=ChangedOutput,
        examples=[_BY_ID, _CHANGED],
    )
    @can_fail(NotFound)
    def post(self, request: Request) -> Response:
        asked = validated(UndoableInput, request)
        undo = inbox.put_back(InboxItem.Place.ARCHIVED)
        return _changed(request, asked, Filter.ALL, undo if asked["undo"] else inbox.archive)


class Snooze(_OwnInbox):
    """They come back on top; with `undo` at once, as they were. Which ones: as for `read`."""

    @extend_schema(
        operation_id="inbox_snooze",
        summary="Out of the feed until a moment, when they come back as new",
        request=SnoozeInput,
        responses=ChangedOutput,
        examples=[
            OpenApiExample(
                "Until tomorrow",
                value={"ids": [_ITEM["id"]], "until": "2026-11-23T08:00:00Z"},
                request_only=True,
            ),
            _CHANGED,
        ],
    )
    @can_fail(NotFound)
    def post(self, request: Request) -> Response:
        asked = validated(SnoozeInput, request)
        undo = inbox.put_back(InboxItem.Place.SNOOZED)
        change = undo if asked["undo"] else inbox.snooze(asked["until"])
        return _changed(request, asked, Filter.ALL, change)


class Act(_OwnInbox):
    @extend_schema(
        operation_id="inbox_act",
        summary="Press a button of an item",
        description=(
            "The sender finds it as `clicked`, with the action's key, on the message's timeline. "
            "Safe to repeat. Of the buttons without a link one can be pressed: 409 "
            "`already_answered` for another."
        ),
        request=ActInput,
        responses=ItemOutput,
        examples=[
            OpenApiExample(
                "Press", value={"id": _ITEM["id"], "action": "track"}, request_only=True
            ),
            OpenApiExample("Pressed", value=_ITEM, response_only=True),
        ],
    )
    @can_fail(AlreadyAnswered, NotFound)
    def post(self, request: Request) -> Response:
        asked = validated(ActInput, request)
        item = inbox.act(_user(request), asked["id"], asked["action"])
        return Response(inbox_feed.shown(item))


def _changed(request: Request, asked: Mapping[str, Any], which: Filter, change: Change) -> Response:
    user_id = _user(request)
    done: Changed
    if "ids" in asked:
        done = inbox.change_some(user_id, asked["ids"], change)
    else:
        before, tag = asked.get("before"), asked.get("tag", "")
        done = inbox.change_all(user_id, which, change, before=before, tag=tag)
    counts = inbox_feed.counts(inbox_feed.person(user_id))
    return Response(ChangedOutput({**vars(done), "counts": counts}).data)


def _user(request: Request) -> str:
    """Whose inbox it is. Raises `NotFound` for who cannot have one, PermissionDenied for agents."""
    caller = principal(request)
    if isinstance(caller, EndUser):
        return permitted(request, caller.user_id)
    raise PermissionDenied("This is for people: call it with a user's token.")


def _filter(name: str) -> Filter:
    try:
        return Filter(name)
    except ValueError:
        known = ", ".join(Filter.values)
        raise InvalidInput.of("filter", "unknown_filter", f"One of: {known}.") from None


def _plain(field: str, text: str) -> str:
    if not text.isprintable() or len(text) > 64:
        raise InvalidInput.of(field, "control_character", "At most 64 printable characters.")
    return text


# --- Cursors: a direction, a moment, an id -----------------------------------------------------


def _link(request: Request, direction: str, position: Position | None) -> str | None:
    if position is None:
        return None
    text = f"{direction}{position.shown_at.isoformat()}|{position.id}"
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)


def _positions(cursor: str) -> dict[str, Position]:
    """Raises `InvalidInput` for what was not in a link of ours."""
    if not cursor:
        return {}
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        direction, (moment, _, id_) = text[:1], text[1:].partition("|")
        name = {"o": "older_than", "n": "newer_than"}[direction]
        return {name: Position(_aware(moment), UUID(id_))}
    except (ValueError, KeyError, binascii.Error):
        message = "Take the cursor from `next` or `previous` of another page, unchanged."
        raise InvalidInput.of("cursor", "bad_cursor", message) from None


def _aware(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(text)
    return moment
