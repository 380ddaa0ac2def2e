from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import validated
from commsproject.common.errors import CommsError, InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications import selectors
from notifications.api.input import NotificationInput, submission
from notifications.api.output import (
    AcceptedOutput,
    CancelledOutput,
    ConvertedOutput,
    ConvertInput,
    ExplainedOutput,
    NotificationDetail,
    NotificationOutput,
)
from notifications.errors import OF_A_KEY, REFUSED, CannotCancel
from notifications.services import broadcast, cancel, explain, goals, submit
from notifications.services.broadcast import Topical
from notifications.services.bulk import BatchRequest
from notifications.states import State, furthest

KEY_HEADER = "Idempotency-Key"
MAX_KEY = 255
KEY = OpenApiParameter(
    KEY_HEADER, str, OpenApiParameter.HEADER, description=f"At most {MAX_KEY} characters."
)

_REQUEST = OpenApiExample(
    "An email with inline content",
    value={
        "to": {"email": "delivered@simulator.test"},
        "content": {"subject": "Hello", "text": "It works."},
    },
    request_only=True,
)
_BY_TEMPLATE = OpenApiExample(
    "A template, to a known person",
    value={
        "to": {"user_id": "u-1042"},
        "template": "welcome",
        "data": {"name": "Ada"},
        "priority": "urgent",
        "reference": "signup-77",
    },
    request_only=True,
)
_TO_A_TOPIC = OpenApiExample(
    "Everybody of a topic but those who have it already",
    value={
        "to": {"topic": "release-notes", "exclude_topics": ["beta-testers"]},
        "template": "release",
        "category": "news",
        "priority": "bulk",
    },
    request_only=True,
)
_ANSWER = OpenApiExample(
    "Accepted",
    value={
        "id": "019a0000-0000-7000-8000-000000000001",
        "status": "queued",
        "deliveries": [
            {
                "id": "019a0000-0000-7000-8000-000000000002",
                "channel": "email",
                "to": "delivered@simulator.test",
                "status": "queued",
                "reason": "",
            }
        ],
    },
    response_only=True,
    status_codes=["202"],
)


class Notifications(APIView):
    """Send a message; list those sent."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "POST": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="notifications_send",
        summary="Send a message",
        description=(
            "A 202 means the message is committed to disk and will be tried until it is taken, "
            "refused for good, expired or given up. A dry run (200) stores nothing. With an "
            "`Idempotency-Key`, repeating the request gives the first answer again, marked "
            "`Idempotent-Replayed: true`."
        ),
        parameters=[KEY],
        request=NotificationInput,
        responses={202: AcceptedOutput, 200: AcceptedOutput},
        examples=[_REQUEST, _BY_TEMPLATE, _TO_A_TOPIC, _ANSWER],
    )
    @can_fail(*OF_A_KEY, *REFUSED)
    def post(self, request: Request) -> Response:
        fields = validated(NotificationInput, request)
        asked = submission(fields, idempotency_key=idempotency_key(request), raw=request.data)
        if isinstance(asked, tuple):
            return self._broadcast(request, *asked)
        (result,) = submit.accept(agent(request).client, [asked])
        if isinstance(result, CommsError):
            raise result
        return Response(
            result.response,
            status=http.HTTP_200_OK if result.dry_run else http.HTTP_202_ACCEPTED,
            headers=replayed(result.replayed),
        )

    def _broadcast(self, request: Request, to: Topical, asked: BatchRequest) -> Response:
        batch, is_replayed = broadcast.send(agent(request).client, asked, to)
        waits = batch.send_at is not None and batch.send_at > batch.created_at
        state = State.SCHEDULED if waits else State.QUEUED
        return Response(
            {"id": batch.id, "status": state, "deliveries": [], "batch": batch.id},
            status=http.HTTP_202_ACCEPTED,
            headers=replayed(is_replayed),
        )

    @extend_schema(
        operation_id="notifications_list",
        summary="List your messages, newest first",
        parameters=[
            OpenApiParameter(
                "status",
                str,
                enum=State.values,
                description="A page looks at 10,000 messages at most: it may be short, or empty, and "
                "`next` goes on.",
            ),
            OpenApiParameter("reference", str),
            OpenApiParameter("user_id", str),
            OpenApiParameter("created_after", str, description="ISO 8601, inclusive."),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(NotificationOutput),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.of_client(agent(request).client)
        query = request.query_params
        for name, value in query.items():
            if "\0" in value:
                raise InvalidInput.of(name, "control_character", "NUL is not allowed here.")
        if reference := query.get("reference"):
            rows = rows.filter(reference=reference)
        if user_id := query.get("user_id"):
            rows = rows.filter(recipient__user_id=user_id)
        if after := query.get("created_after"):
            rows = selectors.since(rows, _moment("created_after", after))
        if not (state := query.get("status")):
            return page(rows, NotificationOutput, request)
        in_state = selectors.with_state(rows, _state(state))
        return page(in_state, NotificationOutput, request, among=rows)


class NotificationById(APIView):
    """One message and all that happened to it."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="notifications_get",
        summary="One message, with every attempt and event",
        responses=NotificationDetail,
    )
    def get(self, request: Request, notification_id: UUID) -> Response:
        found = selectors.get(agent(request).client, notification_id)
        return Response(NotificationDetail(found).data)


class ExplainNotification(APIView):
    """Why."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="notifications_explain",
        summary="Why a message goes out or does not, and by which provider",
        description="What each rule says of each delivery at this moment, and every provider that "
        "could carry it, in order. What has happened is told by the message itself.",
        responses=ExplainedOutput,
    )
    def get(self, request: Request, notification_id: UUID) -> Response:
        found = selectors.get(agent(request).client, notification_id)
        context = {"traces": explain.notification(found)}
        return Response(ExplainedOutput(found, context=context).data)


class CancelNotification(APIView):
    """Stopping."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        operation_id="notifications_cancel",
        summary="Stop a message before its provider is called",
        description=(
            "After a 200, no provider is called for the deliveries whose `outcome` is `cancelled` "
            "or `not_sent_again`; the others say why it is too late. Safe to repeat. Where nothing "
            "can be stopped any more the answer is a 409 `cannot_cancel`."
        ),
        request=None,
        responses=CancelledOutput,
    )
    @can_fail(CannotCancel)
    def post(self, request: Request, notification_id: UUID) -> Response:
        found = selectors.get(agent(request).client, notification_id)
        results = cancel.cancel(found, cancel.BY_SENDER)
        answer = {
            "id": found.id,
            "status": furthest(result.state for result in results),
            "deliveries": results,
        }
        return Response(CancelledOutput(answer).data)


class ConvertNotification(APIView):
    """Success."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        operation_id="notifications_convert",
        summary="Say that a message brought about what it was sent for",
        description=(
            "Counted for its variant where it is part of an A/B test. Safe to repeat: the first "
            "time counts, and is answered again."
        ),
        request=ConvertInput,
        responses=ConvertedOutput,
    )
    def post(self, request: Request, notification_id: UUID) -> Response:
        found = selectors.get(agent(request).client, notification_id)
        value = validated(ConvertInput, request).get("value")
        return Response(ConvertedOutput(goals.convert(found, value)).data)


def idempotency_key(request: Request | HttpRequest) -> str:
    """Empty where there is none. Raises `InvalidInput`."""
    return checked_key(request.headers.get(KEY_HEADER, ""))


def checked_key(key: str) -> str:
    if len(key) > MAX_KEY or not key.isprintable():
        raise InvalidInput.of(KEY_HEADER, "bad_key", f"At most {MAX_KEY} printable characters.")
    return key


def replayed(is_replayed: bool) -> dict[str, str] | None:
    """The headers of an answer that may be the first one again."""
    return {"Idempotent-Replayed": "true"} if is_replayed else None


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        known = ", ".join(State.values)
        raise InvalidInput.of("status", "unknown_status", f"One of: {known}.") from None


def _moment(field: str, text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput.of(field, "bad_time", "An ISO 8601 time with its zone, please.")
    return moment
