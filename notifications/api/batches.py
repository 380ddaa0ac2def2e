from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, cast
from uuid import UUID

import orjson
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page_of
from commsproject.common.api.pagination import NewestFirst
from commsproject.common.api.parsers import StrictJSONParser
from commsproject.common.api.spreadsheets import inert
from commsproject.common.api.streaming import download
from commsproject.common.bodies import bounded
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications.api.batch_input import (
    CsvParser,
    JsonBatchInput,
    NdjsonParser,
    RowInput,
    largest_upload,
    read,
)
from notifications.api.notifications import KEY, idempotency_key, replayed
from notifications.errors import OF_A_KEY, REFUSED, BatchState, SecondPerson, UploadStopped
from notifications.models import Batch
from notifications.services import batches, bulk, results
from notifications.services.results import Result, Status
from notifications.states import State
from notifications.types import Channel, Lane

_REQUEST = OpenApiExample(
    "Two rows by a template",
    value={
        "template": "welcome",
        "data": {"team": "Analytical Engines"},
        "rows": [
            {"to": {"email": "ada@simulator.test"}, "data": {"name": "Ada"}, "reference": "u-1"},
            {"to": {"user_id": "u-1042"}, "data": {"name": "Charles"}},
        ],
        "canary": {"percent": 1, "wait": 300, "max_failures": 2},
    },
    request_only=True,
    media_type="application/json",
)


# --- How batches look --------------------------------------------------------------------------


class CanaryOutput(serializers.Serializer[Any]):
    """`tried`, `failed` and `passed` are there once it was judged."""

    percent = serializers.FloatField()
    wait = serializers.FloatField()
    max_failures = serializers.FloatField()
    tried = serializers.IntegerField(required=False)
    failed = serializers.IntegerField(required=False)
    passed = serializers.BooleanField(required=False)


class BatchOutput(serializers.ModelSerializer[Batch]):
    """A batch and how far it got. Needs `counts` of its batches in the context."""

    state = serializers.ChoiceField(Batch.State.choices)
    accepted = serializers.SerializerMethodField()
    counts = serializers.SerializerMethodField(help_text="Deliveries by state.")
    progress = serializers.SerializerMethodField(help_text="0 to 1.")
    template = serializers.CharField(source="template_version.template.key", default="")
    category = serializers.CharField(source="category.key", default="")
    priority = serializers.ChoiceField(Lane.choices)
    canary = CanaryOutput(allow_null=True)
    canary_until = serializers.DateTimeField(
        allow_null=True, help_text="When the canary is judged; null until each was tried."
    )

    class Meta:
        model = Batch
        fields = [
            *("id", "state", "reason", "received", "accepted", "rejected", "counts", "progress"),
            *("template", "category", "channels", "priority", "locale", "agent_id", "reference"),
            *("tags", "metadata", "pace", "canary", "canary_until", "send_at", "expires_at"),
            *("created_at", "started_at", "finished_at"),
        ]

    def get_accepted(self, batch: Batch) -> int:
        return batch.received - batch.rejected

    def get_counts(self, batch: Batch) -> dict[str, int]:
        return dict(self.context["counts"][batch.id])

    def get_progress(self, batch: Batch) -> float:
        return batches.progress(batch, self.context["counts"][batch.id])


class RowError(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class RowDelivery(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    channel = serializers.ChoiceField(Channel.choices)
    to = serializers.CharField()
    status = serializers.ChoiceField(State.choices)
    reason = serializers.CharField()


class ResultOutput(serializers.Serializer[Any]):
    """What became of one row."""

    number = serializers.IntegerField(help_text="Its place in the upload, from 1.")
    reference = serializers.CharField()
    status = serializers.ChoiceField(["accepted", "rejected"])
    errors = RowError(many=True)  # type: ignore[assignment]  # a field, as DRF has it
    notification_id = serializers.UUIDField(allow_null=True)
    deliveries = RowDelivery(many=True)


def _of(request: Request) -> QuerySet[Batch]:
    rows = Batch.objects.filter(client=agent(request).client)
    return rows.select_related("category", "template_version__template")


def _get(request: Request, batch_id: UUID) -> Batch:
    found = _of(request).filter(id=batch_id).first()
    if found is None:
        raise NotFound("There is no batch of yours with this id.")
    return found


def _shown(several: list[Batch]) -> Any:
    return BatchOutput(several, many=True, context={"counts": batches.counts(several)}).data


# --- Sending -----------------------------------------------------------------------------------


@bounded(largest_upload)
class Batches(APIView):
    """Send one message to many; list those sent."""

    parser_classes = (StrictJSONParser, NdjsonParser, CsvParser)
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "POST": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="batches_send",
        summary="Send to many",
        description=(
            "One JSON body with `rows`; or `application/x-ndjson` (a row a line) or `text/csv` "
            "(columns `email`, `phone`, `user_id`, `reference`; every other one is data), with all "
            "else in the query: `data`, `content`, `canary`, `metadata`, `actions` as JSON, `channels` and "
            "`tags` separated by commas. A row that is wrong is counted and listed under "
            "`results`; it does not stop the others. Nothing is sent before the last row is here."
        ),
        parameters=[KEY],
        request={
            "application/json": JsonBatchInput,
            "application/x-ndjson": RowInput,
            "text/csv": str,
        },
        responses={202: BatchOutput},
        examples=[_REQUEST],
    )
    @can_fail(*OF_A_KEY, UploadStopped, *REFUSED)
    def post(self, request: Request) -> Response:
        asked = read(request, idempotency_key(request))
        batch, is_replayed = bulk.receive(agent(request).client, asked.request, asked.upload)
        return Response(
            _shown([batch])[0],
            status=http.HTTP_202_ACCEPTED,
            headers=replayed(is_replayed),
        )

    @extend_schema(
        operation_id="batches_list",
        summary="List your batches, newest first",
        parameters=[
            OpenApiParameter("state", str, enum=Batch.State.values),
            OpenApiParameter("reference", str),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(BatchOutput),
    )
    def get(self, request: Request) -> Response:
        rows = _of(request)
        for name in ("state", "reference"):
            if value := _parameter(request, name):
                rows = rows.filter(**{name: value})
        paginator = NewestFirst()
        found = cast("list[Batch]", paginator.paginate_queryset(rows, request) or [])
        return paginator.get_paginated_response(_shown(found))


def _parameter(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if "\0" in value:
        raise InvalidInput.of(name, "control_character", "NUL is not allowed here.")
    if name == "state" and value and value not in Batch.State.values:
        known = ", ".join(Batch.State.values)
        raise InvalidInput.of("state", "unknown_state", f"One of: {known}.")
    return value


class BatchById(APIView):
    """`counts` are deliveries by state; they move until the batch is `done`."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="batches_get", summary="A batch, and how far it got", responses=BatchOutput
    )
    def get(self, request: Request, batch_id: UUID) -> Response:
        return Response(_shown([_get(request, batch_id)])[0])


class ActOnBatch(APIView):
    """Pause, resume, cancel, approve: the action is the path's last word."""

    action: Batch.Action = Batch.Action.PAUSE
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        summary="Pause, resume, cancel or approve a batch",
        description="409 `batch_state` where the batch's state does not allow it.",
        request=None,
        responses=BatchOutput,
    )
    @can_fail(BatchState, SecondPerson)
    def post(self, request: Request, batch_id: UUID) -> Response:
        batches.act(_get(request, batch_id), self.action)
        return Response(_shown([_get(request, batch_id)])[0])


# --- Results -----------------------------------------------------------------------------------


class _Ndjson(JSONRenderer):
    """For the choice by `Accept` or `?format=` only; what it renders is a problem document."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class _Csv(_Ndjson):
    media_type = "text/csv"
    format = "csv"


class BatchResults(APIView):
    """What became of each row."""

    renderer_classes = (JSONRenderer, _Ndjson, _Csv)
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="batches_results",
        summary="What became of each row, in the order of the upload",
        description="All rows at once as a download with `?format=ndjson` or `csv`, or by `Accept`.",
        parameters=[
            OpenApiParameter("status", str, enum=["accepted", "rejected"]),
            OpenApiParameter("format", str, enum=["json", "ndjson", "csv"]),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses={
            (200, "application/json"): inline_serializer(
                "ResultPage",
                {
                    "results": ResultOutput(many=True),
                    "next": serializers.URLField(allow_null=True),
                    "previous": serializers.URLField(allow_null=True),
                },
            ),
            (200, "application/x-ndjson"): ResultOutput,
            (200, "text/csv"): str,
        },
    )
    def get(self, request: Request, batch_id: UUID) -> Response | StreamingHttpResponse:
        batch = _get(request, batch_id)
        status = _status(request)
        chosen = request.accepted_renderer.format
        if chosen in _WRITERS:
            return download(
                request._request,  # noqa: SLF001 - DRF has no public name for it
                map(_WRITERS[chosen], _pieces(batch, status)),
                content_type=request.accepted_media_type or "",
                filename=f"batch-{batch.id}.{chosen}",
            )
        return _page(request, batch, status)


def _status(request: Request) -> Status | None:
    match request.query_params.get("status"):
        case None:
            return None
        case "accepted" | "rejected" as known:
            return known
    raise InvalidInput.of("status", "unknown_status", "One of: accepted, rejected.")


def _page(request: Request, batch: Batch, status: Status | None) -> Response:
    """Cursors are `a` (after) or `b` (before) and a row's id."""
    limit = NewestFirst().get_page_size(request) or 50
    after, before = _cursor(request.query_params.get("cursor", ""))
    found = results.some(batch, limit + 1, status=status, after=after, before=before)
    has_more = len(found) > limit
    if before:
        found = found[-limit:]
        is_first, is_last = not has_more, False
    else:
        found = found[:limit]
        is_first, is_last = after is None, not has_more
    return Response(
        {
            "results": ResultOutput(found, many=True).data,
            "next": None if is_last or not found else _link(request, f"a{found[-1].id.hex}"),
            "previous": None if is_first or not found else _link(request, f"b{found[0].id.hex}"),
        }
    )


def _cursor(text: str) -> tuple[UUID | None, UUID | None]:
    if not text:
        return None, None
    try:
        place = UUID(hex=text[1:])
    except ValueError:
        place = None
    if place is None or text[0] not in "ab":
        message = "Take the cursor from `next` or `previous` of another page, unchanged."
        raise InvalidInput.of("cursor", "bad_cursor", message)
    return (place, None) if text[0] == "a" else (None, place)


def _link(request: Request, cursor: str) -> str:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)


_COLUMNS = ("number", "reference", "status", "notification_id", "deliveries", "errors")


def _pieces(batch: Batch, status: Status | None) -> Iterator[list[Result]]:
    """A first one without rows, so that a file has its header whatever it holds."""
    yield []
    yield from results.everything(batch, status)


def _as_ndjson(piece: list[Result]) -> bytes:
    lines = []
    for result in piece:
        fields = asdict(result)
        del fields["id"]
        lines.append(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _as_csv(piece: list[Result]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if not piece:
        writer.writerow(_COLUMNS)
    for result in piece:
        sent = " ".join(f"{one['channel']}:{one['status']}" for one in result.deliveries)
        wrong = "; ".join(
            f"{one['field']} {one['code']}: {one['message']}".strip() for one in result.errors
        )
        key = result.notification_id or ""
        writer.writerow(
            [result.number, inert(result.reference), result.status, key, sent, inert(wrong)]
        )
    return text.getvalue().encode()


_WRITERS = {"ndjson": _as_ndjson, "csv": _as_csv}
