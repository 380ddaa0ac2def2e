from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import Moment, StrictSerializer, validated
from commsproject.common.errors import NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications import addresses, timetable
from notifications.api import rows
from notifications.api.batch_input import BatchInput
from notifications.api.input import Line, NotificationInput, ZoneField
from notifications.api.notifications import KEY, idempotency_key, replayed
from notifications.errors import OF_A_KEY, REFUSED, NameTaken
from notifications.models import Schedule
from notifications.services import schedule as service
from notifications.services.asked import Row, Target
from notifications.services.broadcast import Topical
from notifications.services.bulk import Rejected
from notifications.services.keys import Once, fingerprint
from notifications.timetable import Missed

NEXT_RUNS = 5
MAX_ROWS = 5000
"""Rows of a batch that is sent again and again: they are written in one transaction."""

_REQUEST = OpenApiExample(
    "Every working day at nine in Berlin",
    value={
        "name": "daily report",
        "cron": "0 9 * * 1-5",
        "time_zone": "Europe/Berlin",
        "notification": {
            "to": {"email": "delivered@simulator.test"},
            "content": {"subject": "Today", "text": "Here is your report."},
        },
    },
    request_only=True,
)


class ScheduledBatch(BatchInput):
    """A batch with its rows, all of which have to be right."""

    rows = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=MAX_ROWS, help_text="As in a batch."
    )

    def validate_rows(self, value: list[Any]) -> list[dict[str, Any]]:
        checked = [rows.check(row, index) for index, row in enumerate(value)]
        wrong = {
            str(row.number): {
                error.field: serializers.ErrorDetail(error.message, code=error.code)
                for error in row.errors
            }
            for row in checked
            if isinstance(row, Rejected)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return [_row_as_json(row) for row in checked if isinstance(row, Row)]


class ScheduleChange(StrictSerializer):
    """`PATCH /schedules/{id}`: what is left out stays as it is."""

    name = Line(max_length=100, required=False)
    cron = Line(
        max_length=100,
        required=False,
        help_text="Five fields: minute, hour, day of month, month, day of week.",
    )
    time_zone = ZoneField(required=False, help_text="An IANA name; UTC without it.")
    notification = NotificationInput(
        required=False,
        help_text="As for `POST /notifications`, without `send_at`, `expires_at` and `dry_run`.",
    )
    batch = ScheduledBatch(
        required=False,
        help_text="As for `POST /batches` with rows, without `send_at` and `expires_at`.",
    )
    missed = serializers.ChoiceField(
        Missed.choices,
        required=False,
        help_text="What becomes of runs that were missed: `once` without it.",
    )
    ends_at = Moment(required=False, allow_null=True, help_text="No run is later.")
    enabled = serializers.BooleanField(required=False, help_text="False: paused.")

    def validate_cron(self, value: str) -> str:
        try:
            return timetable.check(value)
        except timetable.BadCron as error:
            raise serializers.ValidationError(str(error), code="bad_cron") from None

    def validate_notification(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """In the normal form in which a schedule keeps it."""
        _refuse(value, "send_at", "expires_at", "dry_run")
        if isinstance(value["to"], Topical):
            raise serializers.ValidationError(
                {"to": {"topic": "A schedule writes to single people or to the rows of a batch."}},
                code="not_in_a_schedule",
            )
        kept = {name: part for name, part in value.items() if name != "dry_run"}
        return {**kept, "to": _as_json(value["to"])}

    def validate_batch(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        _refuse(value, "send_at", "expires_at")
        return value

    @override
    def validate(self, attrs: Any) -> Any:
        if "notification" in attrs and "batch" in attrs:
            raise _one_of_two()
        return attrs


class ScheduleInput(ScheduleChange):
    """`POST /schedules`."""

    name = Line(max_length=100)
    cron = Line(max_length=100, help_text=ScheduleChange().fields["cron"].help_text)

    @override
    def validate(self, attrs: Any) -> Any:
        if "notification" not in attrs and "batch" not in attrs:
            raise _one_of_two()
        return super().validate(attrs)


def _refuse(value: Mapping[str, Any], *names: str) -> None:
    if fixed := [name for name in names if value.get(name)]:
        raise serializers.ValidationError(
            dict.fromkeys(fixed, "Not in what is sent again and again."), code="not_in_a_schedule"
        )


def _one_of_two() -> serializers.ValidationError:
    return serializers.ValidationError(
        {"notification": "Give either a notification or a batch."}, code="notification_or_batch"
    )


def _as_json(target: Target) -> dict[str, str]:
    given = {
        name: target.addresses[channel]
        for name, channel in addresses.FIELDS.items()
        if channel in target.addresses
    }
    return {"user_id": target.user_id, **given} if target.user_id else given


def _row_as_json(row: Row) -> dict[str, Any]:
    given = {"data": row.data, "reference": row.reference or None}
    return {"to": _as_json(row.to)} | {
        name: value for name, value in given.items() if value is not None
    }


def _fields(validated_data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Schedule`."""
    fields = dict(validated_data)
    for kind in Schedule.Kind:
        if kind.value in fields:
            fields |= {"kind": kind, "request": fields.pop(kind.value)}
    return fields


class LastError(serializers.Serializer[Any]):
    """Why the newest run sent nothing, or not all."""

    run = serializers.DateTimeField()
    code = serializers.CharField()
    message = serializers.CharField()


class ScheduleOutput(serializers.ModelSerializer[Schedule]):
    """A schedule in a list."""

    kind = serializers.ChoiceField(Schedule.Kind.choices, help_text="What it sends each time.")
    missed = serializers.ChoiceField(Missed.choices)
    next_runs = serializers.SerializerMethodField()
    last_run_at = serializers.DateTimeField(source="last_at", allow_null=True)
    last_error = LastError(allow_null=True)

    class Meta:
        model = Schedule
        fields = [
            "id",
            "name",
            "cron",
            "time_zone",
            "kind",
            "missed",
            "enabled",
            "ends_at",
            "next_runs",
            "last_run_at",
            "last_error",
            "created_at",
        ]

    @extend_schema_field(serializers.ListField(child=serializers.DateTimeField()))
    def get_next_runs(self, row: Schedule) -> list[str]:
        """In the schedule's own time zone; none while it is paused or after its end."""
        return [run.isoformat() for run in islice(service.next_runs(row), NEXT_RUNS)]


class ScheduleDetail(ScheduleOutput):
    """A schedule with what it sends."""

    notification = serializers.SerializerMethodField()
    batch = serializers.SerializerMethodField()

    class Meta:
        model = Schedule
        fields = [*ScheduleOutput.Meta.fields, "notification", "batch"]

    def get_notification(self, row: Schedule) -> dict[str, Any] | None:
        return row.request if row.kind == Schedule.Kind.NOTIFICATION else None

    def get_batch(self, row: Schedule) -> dict[str, Any] | None:
        return row.request if row.kind == Schedule.Kind.BATCH else None


class Schedules(APIView):
    """Messages and batches that are sent again and again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "POST": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="schedules_create",
        summary="Send a message or a batch again and again",
        description=(
            "The message is checked as if it were sent now. A run whose message is refused later "
            "(its template was archived, say) is told of in `last_error`; the next one is tried. With "
            "an `Idempotency-Key`, repeating the request gives the schedule that it made, as it is "
            "now, marked `Idempotent-Replayed: true`; 404 where that is deleted."
        ),
        parameters=[KEY],
        request=ScheduleInput,
        responses={201: ScheduleDetail},
        examples=[_REQUEST],
    )
    @can_fail(*OF_A_KEY, NameTaken, NotFound, *REFUSED)
    def post(self, request: Request) -> Response:
        fields = _fields(validated(ScheduleInput, request))
        once = Once(idempotency_key(request), fingerprint(request.data, "schedule "))
        made, is_replayed = service.create(agent(request).client, fields, once)
        return Response(
            ScheduleDetail(made).data, status=http.HTTP_201_CREATED, headers=replayed(is_replayed)
        )

    @extend_schema(
        operation_id="schedules_list",
        summary="List your schedules, newest first",
        responses=page_of(ScheduleOutput),
    )
    def get(self, request: Request) -> Response:
        found = service.of_client(agent(request).client).defer("request")
        return page(found, ScheduleOutput, request)


class ScheduleById(APIView):
    """One schedule."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "PATCH": Scope.NOTIFICATIONS_WRITE,
        "DELETE": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="schedules_get",
        summary="One schedule, with its next runs",
        responses=ScheduleDetail,
    )
    def get(self, request: Request, schedule_id: UUID) -> Response:
        return Response(ScheduleDetail(service.get(agent(request).client, schedule_id)).data)

    @extend_schema(
        operation_id="schedules_change",
        summary="Change, pause or resume a schedule",
        description=(
            "`enabled` false pauses it. A schedule that is resumed, or gets other times, goes on "
            "from now: runs that passed meanwhile are not caught up."
        ),
        request=ScheduleChange,
        responses=ScheduleDetail,
    )
    @can_fail(NameTaken, *REFUSED)
    def patch(self, request: Request, schedule_id: UUID) -> Response:
        fields = _fields(validated(ScheduleChange, request))
        changed = service.change(agent(request).client, schedule_id, fields)
        return Response(ScheduleDetail(changed).data)

    @extend_schema(
        operation_id="schedules_delete",
        summary="Delete a schedule; what it has sent stays",
        responses={204: None},
    )
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        service.get(agent(request).client, schedule_id).delete()
        return Response(status=204)
