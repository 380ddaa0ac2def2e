from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.serializers import Moment, StrictSerializer
from commsproject.common.errors import InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications.api.input import Line, ZoneField
from notifications.types import Channel, ErrorClass
from tracking.services import analytics
from tracking.services.analytics import ORDERS, Dimension, Granularity, Question

USUAL = timedelta(days=7)


# --- Input ---------------------------------------------------------------------------------------


class QuestionInput(StrictSerializer):
    """The query of an address: which messages, and when."""

    since = Moment(required=False)
    until = Moment(required=False)
    zone = ZoneField(default="UTC")
    channel = serializers.ChoiceField(Channel.choices, required=False)
    provider = Line(max_length=50, required=False)
    agent = Line(max_length=100, required=False)
    category = Line(max_length=64, required=False)
    template = Line(max_length=100, required=False)
    version = Line(max_length=6, required=False)
    variant = Line(max_length=36, required=False)
    country = serializers.RegexField("^[A-Z]{2}$", required=False)
    batch = Line(max_length=36, required=False)


class SeriesInput(QuestionInput):
    granularity = serializers.ChoiceField(Granularity.choices, default=Granularity.DAY)


class TopInput(QuestionInput):
    by = serializers.ChoiceField(Dimension.choices)
    order = serializers.ChoiceField([(name, name) for name in ORDERS], default="sent")
    limit = serializers.IntegerField(min_value=1, max_value=100, default=10)


def read(form: type[QuestionInput], query: Mapping[str, str]) -> dict[str, Any]:
    """The checked query. Raises DRF's ValidationError with each parameter's name."""
    given = {name: value for name, value in query.items() if name != "format" and value}
    serializer = form(data=given)
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


def question(asked: Mapping[str, Any], client: Any = None) -> Question:
    """Raises `InvalidInput`. `client`: only this agent's messages."""
    until = asked.get("until") or timezone.now()
    return Question(
        since=asked.get("since") or until - USUAL,
        until=until,
        zone=ZoneInfo(asked["zone"]),
        where={one: asked[one.value] for one in Dimension if asked.get(one.value)},
        client=client,
    )


def _asked(form: type[QuestionInput], request: Request) -> tuple[dict[str, Any], Question]:
    caller = agent(request)
    asked = read(form, request.query_params.dict())
    sees_all = Scope.PROVIDERS_READ in caller.scopes
    if asked.get("agent") and not sees_all:
        message = "Other agents' figures want the scope providers:read; yours need no name."
        raise InvalidInput.of("agent", "not_allowed", message)
    return asked, question(asked, None if sees_all else caller.client.id)


# --- Output --------------------------------------------------------------------------------------


def _count(text: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=text)


def _seconds() -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text="Seconds.")


class TimesOutput(serializers.Serializer[Any]):
    """How long it took, from when a message was due; percentiles are read from a histogram."""

    count = _count("How many were measured.")
    p50 = _seconds()
    p95 = _seconds()
    p99 = _seconds()


class HandedOutput(TimesOutput):
    """Until a provider took it."""

    within_10s = serializers.FloatField(
        allow_null=True, help_text="The share, 0 to 1; null where nothing was sent."
    )


class FailedOutput(serializers.Serializer[Any]):
    """Given up, by the class of the last error."""

    total = serializers.IntegerField()
    other = _count("There was no provider's answer.")

    @override
    def get_fields(self) -> dict[str, Any]:
        classes = {one.value: _count(one.label) for one in ErrorClass}
        return {**super().get_fields(), **classes}


class FiguresOutput(serializers.Serializer[Any]):
    """Deliveries: a message on two channels counts twice. Each is counted once at each station, in
    the hour in which it got there.
    """

    accepted = _count("Taken in.")
    suppressed = _count("Not sent: the person does not want it, or the address is dead.")
    expired = _count("Not sent in time.")
    cancelled = _count("Stopped.")
    calls = _count("Calls of providers that were answered.")
    calls_failed = _count("Of these, refused or failed.")
    sent = _count("Taken by a provider.")
    delivered = _count("Delivered, as far as the provider tells.")
    unconfirmed = _count("Never answered and never reported.")
    bounced = serializers.IntegerField()
    complained = _count("Marked as spam.")
    opened = _count("By people; the first time.")
    opened_machine = _count("By machines that fetch mail ahead; the first time.")
    clicked = _count("By people; the first time.")
    clicked_machine = _count("By scanners of links; the first time.")
    opted_out = _count("Unsubscribed.")
    segments = _count("Of text messages.")
    failed = FailedOutput()
    cost = serializers.CharField(help_text="Of text messages, in SMS_CURRENCY.")
    handed = HandedOutput()
    arrived = TimesOutput()


_TIMES = {"count": 9968, "p50": 0.31, "p95": 1.7, "p99": 4.1}
_FIGURES = {
    "accepted": 10000,
    "suppressed": 21,
    "expired": 0,
    "cancelled": 4,
    "calls": 9981,
    "calls_failed": 13,
    "sent": 9968,
    "delivered": 9902,
    "unconfirmed": 0,
    "bounced": 41,
    "complained": 2,
    "opened": 4110,
    "opened_machine": 1980,
    "clicked": 730,
    "clicked_machine": 61,
    "opted_out": 9,
    "segments": 0,
    "failed": {
        "total": 7,
        **{one.value: 0 for one in ErrorClass},
        "permanent_recipient": 7,
        "other": 0,
    },
    "cost": "0",
    "handed": {"within_10s": 0.9994, **_TIMES},
    "arrived": {"count": 9902, "p50": 2.4, "p95": 9.1, "p99": 41.0},
}

_AT = "2026-11-22T00:00:00+01:00"


# --- Views ---------------------------------------------------------------------------------------


class _Csv(JSONRenderer):
    """For the choice by `Accept` or `?format=` only; what it renders is a problem document."""

    media_type = "text/csv"
    format = "csv"


def _table(rows: Iterable[Mapping[str, Any]], name: str) -> HttpResponse:
    """One line for each, nested names joined by dots."""
    text = io.StringIO()
    flat = [dict(_flat(row)) for row in rows]
    writer = csv.DictWriter(text, list(flat[0]) if flat else ["nothing"])
    writer.writeheader()
    writer.writerows(flat)
    answer = HttpResponse(text.getvalue(), content_type="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would carry out: names are other people's words."""


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, str) and value.startswith(_FORMULA):
            yield f"{before}{name}", f"'{value}"
        else:
            yield f"{before}{name}", value


_PARAMETERS = [
    OpenApiParameter("since", str, description="A time with its zone; the hour it is in counts."),
    OpenApiParameter(
        "until", str, description="The same; now unless told. Seven days without `since`."
    ),
    OpenApiParameter("zone", str, description="Whose days: an IANA name, UTC unless told."),
    OpenApiParameter("channel", str, enum=Channel.values),
    OpenApiParameter("provider", str, description="Its name. Counts begin with the first call."),
    OpenApiParameter("agent", str, description="Its name; with the scope providers:read."),
    OpenApiParameter("category", str, description="Its key."),
    OpenApiParameter("template", str, description="Its key."),
    OpenApiParameter("version", str, description="A number, with `template`."),
    OpenApiParameter("variant", str, description="Its id."),
    OpenApiParameter("country", str, description="Of telephone numbers: ISO 3166-1 alpha-2."),
    OpenApiParameter(
        "batch", str, description="Its id; with channel, provider and agent only. Kept for 90 days."
    ),
    OpenApiParameter("format", str, enum=["json", "csv"], description="Or by `Accept`."),
]


class _Analytics(APIView):
    renderer_classes = (JSONRenderer, _Csv)
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.ANALYTICS_READ}

    def answer(
        self, request: Request, rows: Sequence[Mapping[str, Any]], body: Any
    ) -> Response | HttpResponse:
        if request.accepted_renderer.format == "csv":
            return _table(rows, f"analytics-{type(self).__name__.lower()}")
        return Response(body)


class Summary(_Analytics):
    """All of it in one."""

    @extend_schema(
        operation_id="analytics_summary",
        summary="What happened to messages in a span of time",
        description=(
            "Your own messages; with `providers:read`, those of all agents. From sums that are kept "
            "by the hour: some seconds old, and cheap to ask for."
        ),
        parameters=_PARAMETERS,
        responses={(200, "application/json"): FiguresOutput, (200, "text/csv"): str},
        examples=[
            OpenApiExample(
                "A week", value=_FIGURES, response_only=True, media_type="application/json"
            )
        ],
    )
    def get(self, request: Request) -> Response | HttpResponse:
        _, asked = _asked(QuestionInput, request)
        figures = analytics.summary(asked)
        return self.answer(request, [figures], figures)


class Series(_Analytics):
    """By time."""

    @extend_schema(
        operation_id="analytics_series",
        summary="The same by the hour, day or week",
        description=(
            "Those in which nothing happened too. By the hour, 62 days at most; else 800. An hour "
            "belongs to the day in which it began."
        ),
        parameters=[
            OpenApiParameter(
                "granularity", str, enum=Granularity.values, description="`day` unless told."
            ),
            *_PARAMETERS,
        ],
        responses={
            (200, "application/json"): inline_serializer(
                "AnalyticsSeries",
                {
                    "granularity": serializers.ChoiceField(Granularity.choices),
                    "results": inline_serializer(
                        "AnalyticsStep",
                        {"at": serializers.DateTimeField(), "figures": FiguresOutput()},
                        many=True,
                    ),
                },
            ),
            (200, "text/csv"): str,
        },
        examples=[
            OpenApiExample(
                "By day",
                value={"granularity": "day", "results": [{"at": _AT, "figures": _FIGURES}]},
                response_only=True,
                media_type="application/json",
            )
        ],
    )
    def get(self, request: Request) -> Response | HttpResponse:
        asked, wanted = _asked(SeriesInput, request)
        found = analytics.series(wanted, asked["granularity"])
        results = [{"at": at.isoformat(), "figures": figures} for at, figures in found]
        rows = [{"at": one["at"], **one["figures"]} for one in results]  # type: ignore[dict-item]
        return self.answer(request, rows, {"granularity": asked["granularity"], "results": results})


class Top(_Analytics):
    """By what."""

    @extend_schema(
        operation_id="analytics_top",
        summary="Which providers, templates, agents ... have most of a figure",
        parameters=[
            OpenApiParameter("by", str, required=True, enum=Dimension.values),
            OpenApiParameter("order", str, enum=list(ORDERS), description="`sent` unless told."),
            OpenApiParameter("limit", int, description="1 to 100, 10 unless told."),
            *_PARAMETERS,
        ],
        responses={
            (200, "application/json"): inline_serializer(
                "AnalyticsTop",
                {
                    "by": serializers.ChoiceField(Dimension.choices),
                    "results": inline_serializer(
                        "AnalyticsLeader",
                        {
                            "key": serializers.CharField(help_text="Empty: messages with none."),
                            "name": serializers.CharField(),
                            "figures": FiguresOutput(),
                        },
                        many=True,
                    ),
                },
            ),
            (200, "text/csv"): str,
        },
        examples=[
            OpenApiExample(
                "By provider",
                value={
                    "by": "provider",
                    "results": [{"key": "ses", "name": "ses", "figures": _FIGURES}],
                },
                response_only=True,
                media_type="application/json",
            )
        ],
    )
    def get(self, request: Request) -> Response | HttpResponse:
        asked, wanted = _asked(TopInput, request)
        found = analytics.top(wanted, Dimension(asked["by"]), asked["order"], asked["limit"])
        rows = [{"key": one.key, "name": one.name, **one.figures} for one in found]
        results = [vars(one) for one in found]
        return self.answer(request, rows, {"by": asked["by"], "results": results})
