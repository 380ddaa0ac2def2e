from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import QueueSample
from notifications.services import metrics
from notifications.services.metrics import Figures
from notifications.types import Lane

CHART = timedelta(hours=1)
MAX_AGENTS = 20


class MinuteOutput(serializers.Serializer[Any]):
    sent = serializers.IntegerField(help_text="Calls accepted by a provider.")
    retried = serializers.IntegerField(help_text="Calls that were not a delivery's first.")
    dead = serializers.IntegerField(help_text="Deliveries given up.")


class WaitingOutput(serializers.Serializer[Any]):
    """Counts are deliveries; each is in one of the first five."""

    depth = serializers.IntegerField(source="due", help_text="Due, waiting for a worker.")
    in_flight = serializers.IntegerField(help_text="Claimed by a worker.")
    throttled = serializers.IntegerField(help_text="Waiting for leave of a rate limit or cap.")
    later = serializers.IntegerField(help_text="Scheduled, or to be tried again later.")
    held = serializers.IntegerField(help_text="Of batches that are paused or wait.")
    oldest_seconds = serializers.FloatField(help_text="How long the first of `depth` waits.")
    throttled_seconds = serializers.FloatField(help_text="How long the first of `throttled` waits.")


class SampleOutput(WaitingOutput):
    at = serializers.DateTimeField()
    last_minute = MinuteOutput(source="*")


class LaneOutput(WaitingOutput):
    lane = serializers.ChoiceField(Lane.choices)
    suspects = serializers.IntegerField(help_text="Among the others: workers died with them.")
    last_minute = MinuteOutput(source="*")


class SampledLaneOutput(LaneOutput):
    samples = SampleOutput(many=True, help_text="One a minute, of the last hour, oldest first.")


class AgentOutput(WaitingOutput):
    name = serializers.CharField()
    last_minute = MinuteOutput(source="*")


class ServiceOutput(serializers.Serializer[Any]):
    """Of all agents together."""

    lanes = SampledLaneOutput(many=True)
    agents = AgentOutput(many=True, help_text=f"Those with the most waiting, at most {MAX_AGENTS}.")


class QueuesOutput(serializers.Serializer[Any]):
    """`service` is null without the scope providers:read."""

    lanes = LaneOutput(many=True, help_text="What is yours.")
    service = ServiceOutput(allow_null=True)


_MINUTE = {"sent": 840, "retried": 12, "dead": 0}
_LANE = {
    "depth": 120,
    "in_flight": 16,
    "throttled": 60,
    "later": 4,
    "held": 0,
    "oldest_seconds": 0.8,
    "throttled_seconds": 31.5,
    "lane": "normal",
    "suspects": 0,
    "last_minute": _MINUTE,
}


class Queues(APIView):
    """How the queue stands."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="queues",
        summary="How much waits, for how long, and how fast it goes",
        description=(
            "Every lane, with what is yours in it. A key that also has `providers:read` sees the "
            "whole service beside: all agents' lanes with an hour of samples, and the agents of "
            "which most waits."
        ),
        responses=QueuesOutput,
        examples=[
            OpenApiExample(
                "Without providers:read",
                value={"lanes": [_LANE], "service": None},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        caller = agent(request)
        shares = metrics.shares()
        body = {
            "lanes": _lanes(metrics.by_lane(shares, agent=caller.client.id)),
            "service": _service(shares) if Scope.PROVIDERS_READ in caller.scopes else None,
        }
        return Response(QueuesOutput(body).data)


def _lanes(lanes: Mapping[Lane, Figures]) -> list[dict[str, Any]]:
    return [{"lane": lane, **vars(figures)} for lane, figures in lanes.items()]


def _service(shares: Mapping[metrics.Share, Figures]) -> dict[str, Any]:
    samples: dict[str, list[QueueSample]] = {lane: [] for lane in Lane}
    for sample in metrics.samples(CHART):
        samples[sample.lane].append(sample)
    lanes = [{**lane, "samples": samples[lane["lane"]]} for lane in _lanes(metrics.by_lane(shares))]
    return {"lanes": lanes, "agents": _busiest(metrics.by_agent(shares))}


def _busiest(agents: Mapping[UUID, Figures]) -> list[dict[str, Any]]:
    busiest = sorted(agents, key=lambda one: (-agents[one].waiting, one))
    names = dict(ApiClient.objects.values_list("id", "name").filter(id__in=busiest[:MAX_AGENTS]))
    return [{"name": names[one], **vars(agents[one])} for one in busiest[:MAX_AGENTS]]
