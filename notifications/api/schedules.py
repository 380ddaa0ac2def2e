from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications import timetable
from notifications.api.input import Line, NotificationInput
from notifications.models import Schedule
from notifications.services import schedule as service
from notifications.services.plan import Target
from notifications.timetable import Missed
from notifications.types import Channel

NEXT_RUNS = 5

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


class ScheduleChange(StrictSerializer):
    """`PATCH /schedules/{id}`: what is left out stays as it is."""

    name = Line(max_length=100, required=False)
    cron = Line(
        max_length=100,
        required=False,
        help_text="Five fields: minute, hour, day of month, month, day of week.",
    )
    time_zone = Line(max_length=64, required=False, help_text="An IANA name; UTC without it.")
    notification = NotificationInput(
        required=False,
        help_text="As for `POST /notifications`, without `send_at`, `expires_at` and `dry_run`.",
    )
    missed = serializers.ChoiceField(
        Missed.choices,
        required=False,
        help_text="What becomes of runs that were missed: `once` without it.",
    )
    ends_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="No run is later."
    )
    enabled = serializers.BooleanField(required=False, help_text="False: paused.")

    def validate_cron(self, value: str) -> str:
        try:
            return timetable.check(value)
        except timetable.BadCron as error:
            raise serializers.ValidationError(str(error), code="bad_cron") from None

    def validate_time_zone(self, value: str) -> str:
        if value not in timetable.zones():
            raise serializers.ValidationError(
                "There is no such time zone. Give an IANA name, such as Europe/Berlin.",
                code="unknown_time_zone",
            )
        return value

    def validate_notification(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """In the normal form in which a schedule keeps it."""
        fixed = [name for name in ("send_at", "expires_at", "dry_run") if value.get(name)]
        if fixed:
            raise serializers.ValidationError(
                dict.fromkeys(fixed, "Not in a message that is sent again and again."),
                code="not_in_a_schedule",
            )
        kept = {name: part for name, part in value.items() if name != "dry_run"}
        return {**kept, "to": _as_json(value["to"])}


class ScheduleInput(ScheduleChange):
    """`POST /schedules`."""

    name = Line(max_length=100)
    cron = Line(max_length=100, help_text=ScheduleChange().fields["cron"].help_text)
    notification = NotificationInput()


def _as_json(target: Target) -> dict[str, str]:
    names = {Channel.EMAIL: "email", Channel.SMS: "phone"}
    given = {names[channel]: address for channel, address in target.addresses.items()}
    return {"user_id": target.user_id, **given} if target.user_id else given


def _fields(validated_data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Schedule`."""
    fields = dict(validated_data)
    if "notification" in fields:
        fields |= {"kind": Schedule.Kind.NOTIFICATION, "request": fields.pop("notification")}
    return fields


class LastError(serializers.Serializer[Any]):
    """Why the newest run sent nothing, or not all."""

    run = serializers.DateTimeField()
    code = serializers.CharField()
    message = serializers.CharField()


class ScheduleOutput(serializers.ModelSerializer[Schedule]):
    notification = serializers.JSONField(source="request", help_text="What is sent.")
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
            "notification",
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
        if row.next_at is None:
            return []
        runs = [row.next_at, *islice(row.timetable.after(row.next_at), NEXT_RUNS - 1)]
        return [run.astimezone(ZoneInfo(row.time_zone)).isoformat() for run in runs]


class Schedules(APIView):
    """Messages that are sent again and again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "POST": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="schedules_create",
        summary="Send a message again and again",
        description=(
            "The message is checked as if it were sent now. A run whose message is refused later "
            "(its template was archived, say) is told of in `last_error`; the next one is tried."
        ),
        request=ScheduleInput,
        responses={201: ScheduleOutput},
        examples=[_REQUEST],
    )
    def post(self, request: Request) -> Response:
        fields = _fields(validated(ScheduleInput, request))
        made = service.create(agent(request).client, fields)
        return Response(ScheduleOutput(made).data, status=201)

    @extend_schema(
        operation_id="schedules_list",
        summary="List your schedules, newest first",
        responses=page_of(ScheduleOutput),
    )
    def get(self, request: Request) -> Response:
        return page(service.of_client(agent(request).client), ScheduleOutput, request)


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
        responses=ScheduleOutput,
    )
    def get(self, request: Request, schedule_id: UUID) -> Response:
        return Response(ScheduleOutput(service.get(agent(request).client, schedule_id)).data)

    @extend_schema(
        operation_id="schedules_change",
        summary="Change, pause or resume a schedule",
        description=(
            "`enabled` false pauses it. A schedule that is resumed, or gets other times, goes on "
            "from now: runs that passed meanwhile are not caught up."
        ),
        request=ScheduleChange,
        responses=ScheduleOutput,
    )
    def patch(self, request: Request, schedule_id: UUID) -> Response:
        fields = _fields(validated(ScheduleChange, request))
        changed = service.change(agent(request).client, schedule_id, fields)
        return Response(ScheduleOutput(changed).data)

    @extend_schema(
        operation_id="schedules_delete",
        summary="Delete a schedule; what it has sent stays",
        responses={204: None},
    )
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        service.get(agent(request).client, schedule_id).delete()
        return Response(status=204)
