"""What was given up: looked through, mended, sent again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import JsonObject, Moment, StrictSerializer, validated
from commsproject.common.errors import CommsError, NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.addresses import MAX_LENGTH
from notifications.api.input import Line
from notifications.api.output import DeliveryDetail
from notifications.errors import (
    AlreadyReplayed,
    BatchStopped,
    ContentErased,
    MessageExpired,
    NoLongerDead,
    TemplateProblem,
    TextTooLong,
)
from notifications.models import Batch, Category, DeadLetter, Delivery
from notifications.services import replay
from notifications.states import State
from notifications.types import Channel, ErrorClass
from templates_app.models import Template

# --- Input -----------------------------------------------------------------------------------


class DeadLetterFilter(StrictSerializer):
    """Which dead letters; a value that can match nothing is an error."""

    error_class = serializers.ChoiceField(ErrorClass.choices, required=False)
    code = Line(max_length=100, required=False, help_text="The provider's own word.")
    provider = Line(max_length=50, required=False, help_text="One that was tried.")
    channel = serializers.ChoiceField(Channel.choices, required=False)
    category = serializers.SlugField(max_length=64, required=False)
    template = serializers.SlugField(max_length=100, required=False)
    batch = serializers.UUIDField(required=False)
    since = Moment(required=False, help_text="Given up then or later.")
    until = Moment(required=False, help_text="Given up before.")

    def validate_provider(self, value: str) -> str:
        return _known(value, value in settings.PROVIDERS, "provider")

    def validate_category(self, value: str) -> str:
        return _known(value, Category.objects.filter(key=value).exists(), "category")

    def validate_template(self, value: str) -> str:
        return _known(value, Template.objects.filter(key=value).exists(), "template")

    def validate_batch(self, value: UUID) -> UUID:
        mine = Batch.objects.filter(client=self.context["client"], id=value)
        _known(str(value), mine.exists(), "batch")
        return value


class DeadLetterQuery(DeadLetterFilter):
    """`GET /dead-letters`."""

    replayed = serializers.ChoiceField(["true", "false"], required=False)


class EditInput(StrictSerializer):
    """`PATCH /dead-letters/{id}`."""

    to = serializers.CharField(
        max_length=MAX_LENGTH,
        required=False,
        allow_null=True,
        trim_whitespace=False,
        help_text="Another address on the same channel; null: where it went before.",
    )
    data = JsonObject(  # type: ignore[assignment]  # a field, as DRF has it
        required=False,
        allow_null=True,
        help_text="Instead of the message's data; null: what it said before.",
    )

    @override
    def validate(self, attrs: Any) -> Any:
        if not attrs:
            raise serializers.ValidationError("Give `to`, `data` or both.", code="required")
        return attrs


class ReplayInput(StrictSerializer):
    """`POST /dead-letters/replay`."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=replay.LIMIT
    )
    filter = DeadLetterFilter(required=False, help_text="At least one of its fields.")

    @override
    def validate(self, attrs: Any) -> Any:
        if len(attrs) != 1:
            raise serializers.ValidationError(
                {"ids": "Give either ids or a filter."}, code="ids_or_filter"
            )
        if attrs.get("filter") == {}:
            message = "Say which: an empty filter would replay every letter there is."
            raise serializers.ValidationError({"filter": message}, code="empty_filter")
        return attrs


def _known(value: str, is_known: bool, what: str) -> str:
    if not is_known:
        raise serializers.ValidationError(f"There is no {what} {value!r}.", code=f"unknown_{what}")
    return value


# --- Output ----------------------------------------------------------------------------------


class DeadLetterOutput(serializers.ModelSerializer[DeadLetter]):
    """A dead letter in a list. `to` is where a replay goes."""

    notification_id = serializers.UUIDField(source="delivery.notification_id")
    delivery_id = serializers.UUIDField()
    batch_id = serializers.UUIDField(source="delivery.notification.batch_id", allow_null=True)
    channel = serializers.ChoiceField(Channel.choices, source="delivery.channel")
    to = serializers.SerializerMethodField()
    category = serializers.CharField(source="delivery.notification.category.key", default="")
    template = serializers.CharField(
        source="delivery.notification.template_version.template.key", default=""
    )
    reference = serializers.CharField(source="delivery.notification.reference")
    error_class = serializers.ChoiceField(ErrorClass.choices, allow_blank=True)
    replayed_as = serializers.UUIDField(allow_null=True, help_text="The delivery a replay made.")

    class Meta:
        model = DeadLetter
        fields = [
            "id",
            "notification_id",
            "delivery_id",
            "batch_id",
            "channel",
            "to",
            "category",
            "template",
            "reference",
            "error_class",
            "code",
            "reason",
            "providers",
            "created_at",
            "replayed_at",
            "replayed_as",
        ]

    def get_to(self, letter: DeadLetter) -> str:
        return letter.address or letter.delivery.address


class DeadLetterDetail(DeadLetterOutput):
    """With what a replay says, and the delivery's whole story."""

    data = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field, as DRF has it
    delivery = DeliveryDetail()

    class Meta:
        model = DeadLetter
        fields = [*DeadLetterOutput.Meta.fields, "data", "delivery"]

    def get_data(self, letter: DeadLetter) -> dict[str, Any] | None:
        said = replay.next_data(letter)
        return None if said is None else dict(said)


class ReplayedOutput(serializers.Serializer[Any]):
    """The answer to a replay."""

    id = serializers.UUIDField(help_text="The dead letter.")
    delivery_id = serializers.UUIDField(help_text="The new delivery.")
    notification_id = serializers.UUIDField()
    status = serializers.ChoiceField(State.choices)


class ReplayResult(serializers.Serializer[Any]):
    """What became of one of many: a delivery, or a problem's code and detail."""

    id = serializers.UUIDField()
    delivery_id = serializers.UUIDField(allow_null=True)
    notification_id = serializers.UUIDField(allow_null=True)
    code = serializers.CharField(help_text="Empty: it is on its way.")
    detail = serializers.CharField()


class ReplaysOutput(serializers.Serializer[Any]):
    """The answer to a replay of many. `remaining` match the filter and wait for another call."""

    results = ReplayResult(many=True)
    remaining = serializers.IntegerField()


# --- Views -----------------------------------------------------------------------------------


class DeadLetters(APIView):
    """All that was given up."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.NOTIFICATIONS_READ}

    @extend_schema(
        operation_id="dead_letters_list",
        summary="List your dead letters, newest first",
        parameters=[
            DeadLetterQuery,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(DeadLetterOutput),
    )
    def get(self, request: Request) -> Response:
        client = agent(request).client
        asked = {name: value for name, value in request.query_params.items() if name not in _PAGE}
        query = DeadLetterQuery(data=asked, context={"client": client})
        query.is_valid(raise_exception=True)
        wanted = dict(query.validated_data)
        replayed = wanted.pop("replayed", None)
        rows = replay.matching(replay.told(replay.of_client(client)), wanted)
        if replayed is not None:
            rows = rows.filter(replayed_at__isnull=replayed == "false")
        return page(rows, DeadLetterOutput, request)


_PAGE = {"cursor", "limit"}


class DeadLetterById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.NOTIFICATIONS_READ,
        "PATCH": Scope.NOTIFICATIONS_WRITE,
    }

    @extend_schema(
        operation_id="dead_letters_get",
        summary="One dead letter, with every attempt of its delivery",
        responses=DeadLetterDetail,
    )
    def get(self, request: Request, letter_id: UUID) -> Response:
        return Response(_detail(agent(request).client, letter_id))

    @extend_schema(
        operation_id="dead_letters_edit",
        summary="Change where a replay goes and what it says",
        description="Checked as at submission. What would not be replayed can no longer be changed.",
        request=EditInput,
        responses=DeadLetterDetail,
        examples=[
            OpenApiExample("Another address", value={"to": "ada@example.org"}, request_only=True)
        ],
    )
    @can_fail(
        AlreadyReplayed,
        BatchStopped,
        ContentErased,
        MessageExpired,
        NoLongerDead,
        TemplateProblem,
        TextTooLong,
    )
    def patch(self, request: Request, letter_id: UUID) -> Response:
        client = agent(request).client
        replay.edit(replay.of_client(client), letter_id, validated(EditInput, request))
        return Response(_detail(client, letter_id))


class ReplayDeadLetter(APIView):
    """Sending one again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        operation_id="dead_letters_replay",
        summary="Send a dead letter again, once",
        description="A new delivery of the same message, under its first `Idempotency-Key`.",
        request=None,
        responses={202: ReplayedOutput},
    )
    @can_fail(AlreadyReplayed, BatchStopped, ContentErased, MessageExpired, NoLongerDead)
    def post(self, request: Request, letter_id: UUID) -> Response:
        result = _replay(agent(request).client, [letter_id])[letter_id]
        if isinstance(result, CommsError):
            raise result
        body = {
            "id": letter_id,
            "delivery_id": result.id,
            "notification_id": result.notification_id,
            "status": result.state,
        }
        return Response(ReplayedOutput(body).data, status=http.HTTP_202_ACCEPTED)


class ReplayDeadLetters(APIView):
    """Sending many again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        operation_id="dead_letters_replay_many",
        summary="Send dead letters again, by id or by filter",
        description=(
            f"At most {replay.LIMIT} in one call. A filter takes the oldest that can be replayed; "
            "call again until nothing remains."
        ),
        request=ReplayInput,
        responses={202: ReplaysOutput},
        examples=[
            OpenApiExample(
                "All that one provider's outage cost",
                value={"filter": {"provider": "sendgrid", "since": "2026-11-22T08:00:00Z"}},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        client = agent(request).client
        asked = validated(ReplayInput, request, context={"client": client})
        if "ids" in asked:
            results, remaining = _replay(client, dict.fromkeys(asked["ids"])), 0
        else:
            rows = replay.matching(replay.of_client(client), asked["filter"])
            oldest = replay.replayable(rows).order_by("id").values_list("id", flat=True)
            results = _replay(client, list(oldest[: replay.LIMIT]))
            remaining = replay.replayable(rows).count()
        body = {
            "results": [_result(key, result) for key, result in results.items()],
            "remaining": remaining,
        }
        return Response(ReplaysOutput(body).data, status=http.HTTP_202_ACCEPTED)


def _detail(client: ApiClient, letter_id: UUID) -> Mapping[str, Any]:
    rows = replay.told(replay.of_client(client)).filter(id=letter_id)
    letter = rows.prefetch_related("delivery__attempts", "delivery__events").first()
    if letter is None:
        raise NotFound("There is no dead letter of yours with this id.")
    shown: serializers.BaseSerializer[DeadLetter] = DeadLetterDetail(letter)
    return dict(shown.data)


def _replay(client: ApiClient, ids: Collection[UUID]) -> dict[UUID, Delivery | CommsError]:
    return replay.replay(replay.of_client(client), ids, by=f"agent {client.name}")


def _result(key: UUID, result: Delivery | CommsError) -> dict[str, Any]:
    if isinstance(result, CommsError):
        return {"id": key, "code": result.code, "detail": result.detail} | _NOTHING
    made = {"delivery_id": result.id, "notification_id": result.notification_id}
    return {"id": key, "code": "", "detail": ""} | made


_NOTHING = {"delivery_id": None, "notification_id": None}
