"""A/B tests of a template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from templates_app import experiments, selectors
from templates_app.experiments import (
    MAX_VARIANTS,
    MAX_WEIGHT,
    Choice,
    ExperimentRunning,
    ExperimentState,
)
from templates_app.models import Experiment, Goal, Variant
from templates_app.results import Results, results

_REQUEST = OpenApiExample(
    "Two subjects",
    value={
        "name": "Shorter subject",
        "goal": "opened",
        "variants": [
            {"name": "as it was", "version": 3, "weight": 1},
            {"name": "short", "version": 4, "weight": 1},
        ],
        "automatic": True,
    },
    request_only=True,
)


class VariantInput(StrictSerializer):
    name = serializers.CharField(max_length=50)
    version = serializers.IntegerField(min_value=1, help_text="The number of a published version.")
    weight = serializers.IntegerField(
        min_value=1,
        max_value=MAX_WEIGHT,
        default=1,
        help_text="Its share of the people, beside the others' weights.",
    )


class ExperimentChange(StrictSerializer):
    """`PATCH`: what is left out stays as it is."""

    name = serializers.CharField(max_length=100, required=False)
    goal = serializers.ChoiceField(Goal.choices, required=False)
    variants = serializers.ListField(
        child=VariantInput(), required=False, min_length=2, max_length=MAX_VARIANTS
    )
    automatic = serializers.BooleanField(
        required=False,
        help_text="Whether it takes the winner by itself, once the difference is certain.",
    )


class ExperimentInput(ExperimentChange):
    """`POST`."""

    name = serializers.CharField(max_length=100)
    goal = serializers.ChoiceField(Goal.choices)
    variants = serializers.ListField(child=VariantInput(), min_length=2, max_length=MAX_VARIANTS)


class WinnerInput(StrictSerializer):
    """`POST .../decide`."""

    winner = serializers.CharField(max_length=50, help_text="The name of a variant.")


class VariantOutput(serializers.ModelSerializer[Variant]):
    version = serializers.IntegerField(source="version.number")

    class Meta:
        model = Variant
        fields = ["name", "version", "weight"]


class ExperimentOutput(serializers.ModelSerializer[Experiment]):
    template = serializers.CharField(source="template.key")
    automatic = serializers.BooleanField(source="is_automatic")
    variants = serializers.SerializerMethodField()

    class Meta:
        model = Experiment
        fields = [
            "id",
            "template",
            "name",
            "goal",
            "automatic",
            "state",
            "variants",
            "winner",
            "decided_by",
            "created_by",
            "created_at",
            "started_at",
            "ended_at",
        ]

    @extend_schema_field(VariantOutput(many=True))
    def get_variants(self, experiment: Experiment) -> Any:
        rows = [row for row in experiment.variants.all() if row.round == experiment.round]
        return VariantOutput(rows, many=True).data


class ArmOutput(serializers.Serializer[Any]):
    """What came of one variant's messages; all but `people` are counts of messages."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    weight = serializers.IntegerField()
    assigned = serializers.IntegerField()
    delivered = serializers.IntegerField()
    opened = serializers.IntegerField()
    clicked = serializers.IntegerField()
    converted = serializers.IntegerField()
    people = serializers.IntegerField(help_text="Who reached the goal: what the test counts.")
    value = serializers.DecimalField(14, 4, help_text="The sum of what conversions said.")
    rate = serializers.FloatField(help_text="Messages that reached the goal, of those assigned.")
    low = serializers.FloatField(help_text="With 95 % the rate is above (Wilson).")
    high = serializers.FloatField(help_text="With 95 % the rate is below.")


class ComparisonOutput(serializers.Serializer[Any]):
    """The best variant beside another one."""

    name = serializers.CharField(help_text="The other one.")
    difference = serializers.FloatField(help_text="The best one's rate less the other's.")
    low = serializers.FloatField(help_text="With 95 % at one look (Newcombe).")
    high = serializers.FloatField()
    ratio_low = serializers.FloatField(
        help_text="Of the best one's rate to the other's: with 95 % at every look together."
    )
    ratio_high = serializers.FloatField(allow_null=True, help_text="Null: nothing is known.")
    chance = serializers.FloatField(
        help_text="At most, that two variants that are alike ever look so different."
    )
    certain = serializers.BooleanField(source="is_certain")


class ResultsOutput(serializers.Serializer[Any]):
    state = serializers.ChoiceField(Experiment.State.choices)
    goal = serializers.ChoiceField(Goal.choices)
    variants = ArmOutput(many=True)
    best = serializers.CharField(help_text="The variant with the highest rate so far.")
    comparisons = ComparisonOutput(many=True)
    certain = serializers.BooleanField(
        help_text="Whether the best one may be taken for the winner, however often one looked."
    )
    winner = serializers.CharField(help_text="Empty until it is decided.")


def _shown(experiment: Experiment, found: Results) -> dict[str, Any]:
    arms = [
        {
            **{goal: arm.counts.get(goal, 0) for goal in ["assigned", *Goal.values]},
            **{name: getattr(arm, name) for name in ("name", "version", "weight", "value")},
            **{name: getattr(arm, name) for name in ("rate", "low", "high")},
            "people": arm.counts.get(f"{experiment.goal}_people", 0),
        }
        for arm in found.arms
    ]
    comparisons = [
        {
            **vars(one),
            "ratio_low": one.ratio.low,
            "ratio_high": one.ratio.high if math.isfinite(one.ratio.high) else None,
        }
        for one in found.comparisons
    ]
    return {
        "state": experiment.state,
        "goal": experiment.goal,
        "variants": arms,
        "best": found.best,
        "comparisons": comparisons,
        "certain": bool(found.winner),
        "winner": experiment.winner,
    }


_READ: Mapping[str, Scope | None] = {"GET": Scope.TEMPLATES_READ}
_ACT: Mapping[str, Scope | None] = {"POST": Scope.TEMPLATES_WRITE}


class Experiments(APIView):
    """The experiments of one template."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {**_READ, **_ACT}

    @extend_schema(
        operation_id="experiments_list",
        summary="A template's A/B tests, newest first",
        responses=page_of(ExperimentOutput),
    )
    def get(self, request: Request, key: str) -> Response:
        rows = selectors.get(key).experiments.select_related("template")
        rows = rows.prefetch_related("variants__version")
        return page(rows, ExperimentOutput, request)

    @extend_schema(
        operation_id="experiments_create",
        summary="Make an A/B test; it begins when it is started",
        request=ExperimentInput,
        responses={201: ExperimentOutput},
        examples=[_REQUEST],
    )
    @can_fail(ExperimentRunning)
    def post(self, request: Request, key: str) -> Response:
        fields = _fields(validated(ExperimentInput, request))
        author = agent(request).client.name
        made = experiments.create(selectors.get(key), **fields, author=author)
        return Response(ExperimentOutput(made).data, status=201)


class ExperimentById(APIView):
    """One experiment."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        **_READ,
        "PATCH": Scope.TEMPLATES_WRITE,
        "DELETE": Scope.TEMPLATES_WRITE,
    }

    @extend_schema(
        operation_id="experiments_get", summary="One A/B test", responses=ExperimentOutput
    )
    def get(self, request: Request, key: str, experiment_id: UUID) -> Response:
        return Response(ExperimentOutput(_get(key, experiment_id)).data)

    @extend_schema(
        operation_id="experiments_change",
        summary="Change an A/B test",
        description=(
            "A draft as a whole. Once it has begun, of its variants only the weights: people who "
            "have a variant keep it, but for those who have to move to what has gained."
        ),
        request=ExperimentChange,
        responses=ExperimentOutput,
    )
    @can_fail(ExperimentState)
    def patch(self, request: Request, key: str, experiment_id: UUID) -> Response:
        fields = _fields(validated(ExperimentChange, request))
        return Response(
            ExperimentOutput(experiments.change(_get(key, experiment_id), **fields)).data
        )

    @extend_schema(
        operation_id="experiments_remove", summary="Remove a draft", responses={204: None}
    )
    @can_fail(ExperimentState)
    def delete(self, request: Request, key: str, experiment_id: UUID) -> Response:
        experiments.remove(_get(key, experiment_id))
        return Response(status=204)


class StartExperiment(APIView):
    """Beginning, or going on."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = _ACT

    @extend_schema(
        operation_id="experiments_start",
        summary="Send the variants from now on",
        request=None,
        responses=ExperimentOutput,
    )
    @can_fail(ExperimentRunning, ExperimentState)
    def post(self, request: Request, key: str, experiment_id: UUID) -> Response:
        return Response(ExperimentOutput(experiments.start(_get(key, experiment_id))).data)


class StopExperiment(APIView):
    """Ending without a winner."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = _ACT

    @extend_schema(
        operation_id="experiments_stop",
        summary="Send the version in use again; what was sent is still counted",
        request=None,
        responses=ExperimentOutput,
    )
    @can_fail(ExperimentState)
    def post(self, request: Request, key: str, experiment_id: UUID) -> Response:
        return Response(ExperimentOutput(experiments.stop(_get(key, experiment_id))).data)


class DecideExperiment(APIView):
    """Ending with a winner."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = _ACT

    @extend_schema(
        operation_id="experiments_decide",
        summary="Send the winner to everybody from now on",
        description="Its version becomes the one in use: published anew if it is not the newest.",
        request=WinnerInput,
        responses=ExperimentOutput,
    )
    @can_fail(ExperimentState)
    def post(self, request: Request, key: str, experiment_id: UUID) -> Response:
        winner = validated(WinnerInput, request)["winner"]
        decided = experiments.decide(
            _get(key, experiment_id), winner, by=agent(request).client.name
        )
        return Response(ExperimentOutput(decided).data)


class ExperimentResults(APIView):
    """What it has shown."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = _READ

    @extend_schema(
        operation_id="experiments_results",
        summary="Rates with their intervals, and how certain the best one is",
        responses=ResultsOutput,
    )
    def get(self, request: Request, key: str, experiment_id: UUID) -> Response:
        found = _get(key, experiment_id)
        return Response(ResultsOutput(_shown(found, results(found))).data)


def _get(key: str, experiment_id: UUID) -> Experiment:
    return experiments.get(selectors.get(key), experiment_id)


def _fields(asked: dict[str, Any]) -> dict[str, Any]:
    """As the service wants them."""
    fields: dict[str, Any] = {name: asked[name] for name in ("name", "goal") if name in asked}
    if "automatic" in asked:
        fields["is_automatic"] = asked["automatic"]
    if "variants" in asked:
        fields["variants"] = [Choice(**one) for one in asked["variants"]]
    return fields
