"""How the providers stand, and what the simulators are told to do wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.limits import Standing
from notifications import breaker, limits
from notifications.api.batch_input import Number
from notifications.api.input import Line
from notifications.breaker import Gate, Health
from notifications.models import ProviderChange, ProviderState, SimulatorRule
from notifications.providers import registry
from notifications.providers.simulator import Simulator
from notifications.services import rehearsal
from notifications.types import Channel

CHANGES = 5
DETAIL_CHANGES = 50
MAX_RULES = 50
MAX_SECONDS = 86_400

_GATES = {Gate.OPEN_ROAD: "closed", Gate.PROBE: "half_open", Gate.SHUT: "open"}

Answer, Receipts = SimulatorRule.Answer, SimulatorRule.Receipts

# --- Output ----------------------------------------------------------------------------------


class BreakerOutput(serializers.Serializer[Any]):
    state = serializers.CharField(
        help_text="`closed`: messages pass; `half_open`: one probes; `open`: it is left alone."
    )
    failures = serializers.IntegerField(help_text="In a row, up to now.")
    until = serializers.DateTimeField(allow_null=True, help_text="Left alone until then.")
    reason = serializers.CharField()


class PartOutput(BreakerOutput):
    name = serializers.CharField(help_text="A country, or a platform.")


class LimitOutput(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="So many calls or recipients,")
    seconds = serializers.FloatField(help_text="in any so many seconds.")
    free = serializers.IntegerField(help_text="What may go now.")
    promised_seconds = serializers.FloatField(help_text="How far ahead turns are promised.")


class ChangeOutput(serializers.ModelSerializer[ProviderChange]):
    class Meta:
        model = ProviderChange
        fields = ["at", "was", "now", "reason"]


class ProviderOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    channels = serializers.ListField(
        child=serializers.ChoiceField(Channel.choices), help_text="That it carries now."
    )
    configured = serializers.BooleanField(help_text="Whether its credentials are set.")
    enabled = serializers.BooleanField(help_text="False where staff switched it off.")
    breaker = BreakerOutput()
    parts = PartOutput(many=True, help_text="Of its world, that have had trouble of their own.")
    weight = serializers.IntegerField(help_text="Its share among those with one; 0: in order.")
    health = serializers.IntegerField(help_text="Percent of its weight that it gets now.")
    limit = LimitOutput(allow_null=True, help_text="Null: it has none.")
    changes = ChangeOutput(many=True, help_text=f"The last {CHANGES}, newest first.")


class ProvidersOutput(serializers.Serializer[Any]):
    """In the order of failover."""

    results = ProviderOutput(many=True)
    next = serializers.URLField(allow_null=True, help_text="Always null: all are on one page.")
    previous = serializers.URLField(allow_null=True)


class RuleOutput(serializers.ModelSerializer[SimulatorRule]):
    answer = serializers.ChoiceField(Answer.choices, help_text="What it says to a message.")
    receipts = serializers.ChoiceField(Receipts.choices)

    class Meta:
        model = SimulatorRule
        fields = [
            *("provider", "channel", "address", "answer", "status", "retry_after", "latency"),
            *("receipts", "receipts_after", "percent", "messages", "until", "met"),
        ]


class ScriptOutput(serializers.Serializer[Any]):
    rules = RuleOutput(many=True)


# --- Input -----------------------------------------------------------------------------------


class Whole(serializers.IntegerField):
    """DRF itself takes "5" and 5.0 for whole numbers."""

    @override
    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            raise serializers.ValidationError("Not a whole number.", code="not_a_number")
        return super().to_internal_value(data)


_ONLY_WITH: Mapping[str, tuple[str, frozenset[str]]] = {
    "status": ("answer", frozenset({Answer.ERROR})),
    "retry_after": ("answer", frozenset({Answer.THROTTLE})),
    "receipts_after": ("receipts", frozenset({Receipts.LATE})),
    "receipts": ("answer", frozenset({Answer.ACCEPT, Answer.ACCEPT_THEN_ERROR})),
}
"""Fields that mean nothing unless another has one of these values."""


class RuleInput(StrictSerializer):
    """One rule. Left out: every simulator, channel and address; all is well; for all, for ever."""

    provider = Line(max_length=50, required=False, help_text="`simulator` or `simulator-b`.")
    channel = serializers.ChoiceField(
        [(channel.value, channel.label) for channel in Channel if channel in Simulator.channels],
        required=False,
    )
    address = Line(
        max_length=320, required=False, help_text="Or a pattern: `*@slow.example`, `+4930*`."
    )
    answer = serializers.ChoiceField(
        Answer.choices, default=Answer.ACCEPT, help_text="What it says to a message."
    )
    status = Whole(min_value=500, max_value=599, required=False, help_text="Of an `error`: 503.")
    retry_after = Number(
        min_value=0.1, max_value=3600, required=False, help_text="Seconds, of a `throttle`: 1."
    )
    latency = Number(
        min_value=0, max_value=60, required=False, help_text="Seconds before any answer."
    )
    receipts = serializers.ChoiceField(Receipts.choices, required=False)
    receipts_after = Number(
        min_value=0, max_value=86_400, required=False, help_text="Seconds, of `late` ones: 30."
    )
    percent = Whole(
        min_value=1, max_value=100, required=False, help_text="Of the messages that fit."
    )
    messages = Whole(
        min_value=1, max_value=1_000_000, required=False, help_text="So many, then no more."
    )
    seconds = Number(
        min_value=0.1, max_value=MAX_SECONDS, required=False, help_text="So long, then no more."
    )

    @override
    def validate(self, attrs: Any) -> Any:
        chosen = {"receipts": Receipts.NORMAL, **attrs}
        for field, (other, values) in _ONLY_WITH.items():
            if field in attrs and chosen[other] not in values:
                wanted = " or ".join(f"`{value}`" for value in sorted(values))
                text = f"Means something only where `{other}` is {wanted}."
                raise serializers.ValidationError(
                    {field: serializers.ErrorDetail(text, code="without_meaning")}
                )
        seconds = attrs.pop("seconds", None)
        if seconds is not None:
            attrs["until"] = timezone.now() + timedelta(seconds=seconds)
        return attrs

    def validate_provider(self, value: str) -> str:
        known = rehearsal.simulators()
        if value not in known:
            raise serializers.ValidationError(
                f"Not a simulator that is on. These are: {', '.join(known) or 'none'}.",
                code="unknown_simulator",
            )
        return value


class ScriptInput(StrictSerializer):
    """`PUT /providers/simulator/script`."""

    rules = serializers.ListField(
        child=RuleInput(),
        max_length=MAX_RULES,
        help_text="The first that fits a message counts. None: all is well.",
    )


_OUTAGE = OpenApiExample(
    "An outage of half a minute",
    value={"rules": [{"provider": "simulator", "answer": "error", "seconds": 30}]},
    request_only=True,
)
_BROWNOUT = OpenApiExample(
    "A brownout, and receipts that come twice",
    value={
        "rules": [
            {"channel": "email", "answer": "throttle", "retry_after": 5, "percent": 20},
            {"receipts": "duplicated", "messages": 100},
        ]
    },
    request_only=True,
)

# --- Views -----------------------------------------------------------------------------------


class Providers(APIView):
    """All that the settings name."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.PROVIDERS_READ}

    @extend_schema(
        operation_id="providers_list",
        summary="Every provider: whether it is on, well, and within its limit",
        responses=ProvidersOutput,
    )
    def get(self, request: Request) -> Response:
        agent(request)
        body = {"results": _shown(list(settings.PROVIDERS)), "next": None, "previous": None}
        return Response(ProvidersOutput(body).data)


class ProviderByName(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.PROVIDERS_READ}

    @extend_schema(
        operation_id="providers_get",
        summary="One provider, with more of its history",
        description=f"The last {DETAIL_CHANGES} changes.",
        responses=ProviderOutput,
    )
    def get(self, request: Request, name: str) -> Response:
        agent(request)
        if name not in settings.PROVIDERS:
            raise NotFound("There is no provider of that name. GET /providers names them.")
        return Response(ProviderOutput(_shown([name], changes=DETAIL_CHANGES)[0]).data)


class Script(APIView):
    """What the simulators do wrong, to rehearse failures."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.PROVIDERS_READ,
        "PUT": Scope.PROVIDERS_WRITE,
        "DELETE": Scope.PROVIDERS_WRITE,
    }

    @extend_schema(
        operation_id="simulator_script_get",
        summary="The simulators' script",
        description="`met` is how many messages have met a rule. 404 where no simulator is on.",
        responses=ScriptOutput,
    )
    @can_fail(NotFound)
    def get(self, request: Request) -> Response:
        agent(request)
        return Response(ScriptOutput({"rules": rehearsal.script()}).data)

    @extend_schema(
        operation_id="simulator_script_put",
        summary="Make the simulators misbehave",
        description=(
            "In place of the last script, for all messages from now on. `reset` and `hang` leave "
            "the outcome open, and so does an `error` other than 503; `accept_then_error` takes the "
            "message all the same. A forged receipt is posted with a wrong signature, and refused."
        ),
        request=ScriptInput,
        responses=ScriptOutput,
        examples=[_OUTAGE, _BROWNOUT],
    )
    @can_fail(NotFound)
    def put(self, request: Request) -> Response:
        caller = agent(request)
        rules = validated(ScriptInput, request)["rules"]
        return Response(
            ScriptOutput({"rules": rehearsal.replace(rules, by=caller.client.name)}).data
        )

    @extend_schema(
        operation_id="simulator_script_delete",
        summary="Let the simulators behave again",
        responses={204: None},
    )
    @can_fail(NotFound)
    def delete(self, request: Request) -> Response:
        rehearsal.replace([], by=agent(request).client.name)
        return Response(status=http.HTTP_204_NO_CONTENT)


def _shown(names: list[str], changes: int = CHANGES) -> list[dict[str, Any]]:
    rows = {row.name: row for row in ProviderState.objects.all()}
    own = [rows.get(name) or ProviderState(name=name) for name in names]
    standings = {one.bucket.name: one for one in limits.state(own)}
    history = _history(names, changes)
    carried = {
        channel: {provider.name for provider in registry.for_channel(channel)}
        for channel in Channel
    }
    return [
        {
            "name": row.name,
            "channels": [channel.value for channel in Channel if row.name in carried[channel]],
            "configured": bool(settings.PROVIDERS[row.name]["ENABLED"]),
            "enabled": row.enabled,
            "breaker": _breaker(row),
            "parts": [
                {"name": part.name.partition(":")[2], **_breaker(part)}
                for part in rows.values()
                if part.name.startswith(f"{row.name}:")
            ],
            "weight": row.weight,
            "health": row.health,
            "limit": _limit(standings.get(f"provider:{row.name}")),
            "changes": history[row.name],
        }
        for row in own
    ]


def _history(names: list[str], most: int) -> Mapping[str, list[ProviderChange]]:
    """The last changes of each, the newest first."""
    newest = Window(RowNumber(), partition_by="provider_id", order_by="-id")
    rows = ProviderChange.objects.filter(provider_id__in=names).annotate(place=newest)
    found: dict[str, list[ProviderChange]] = {name: [] for name in names}
    for row in rows.filter(place__lte=most).order_by("-id"):
        found[row.provider_id].append(row)
    return found


def _breaker(row: ProviderState) -> dict[str, Any]:
    health = Health(row.failures, row.opened_until, row.probe_until, row.reason)
    return {
        "state": _GATES[breaker.gate(health, timezone.now())],
        "failures": row.failures,
        "until": row.opened_until,
        "reason": row.reason,
    }


def _limit(standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    return {
        "count": standing.bucket.count,
        "seconds": standing.bucket.seconds,
        "free": standing.free,
        "promised_seconds": standing.promised,
    }
