from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import Moment, StrictSerializer, Text, validated
from commsproject.common.errors import Conflict, InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications.api.input import Line
from tracking.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tracking.services import endpoints

_STATES = {
    "waiting": {"next_try_at__isnull": False},
    "delivered": {"next_try_at__isnull": True, "delivered_at__isnull": False},
    "failed": {"next_try_at__isnull": True, "delivered_at__isnull": True},
}


class EndpointChange(StrictSerializer):
    """`PATCH /webhook-endpoints/{id}`: what is left out stays as it is."""

    url = Line(max_length=2000, required=False, help_text="https, port 443 or 8443.")
    description = Line(max_length=200, required=False, allow_blank=True)
    events = serializers.ListField(
        child=Text(max_length=60),
        required=False,
        max_length=50,
        help_text="Types, or `notification.*` for all of a kind. Empty: all about your messages.",
    )
    is_active = serializers.BooleanField(required=False)


class EndpointInput(EndpointChange):
    """`POST /webhook-endpoints`."""

    url = Line(max_length=2000, help_text="https, port 443 or 8443.")


class EndpointOutput(serializers.ModelSerializer[WebhookEndpoint]):
    """Somebody's address that hears of events."""

    class Meta:
        model = WebhookEndpoint
        fields = [
            "id",
            "url",
            "description",
            "events",
            "is_active",
            "disabled_reason",
            "failing_since",
            "created_at",
        ]


class EndpointMade(EndpointOutput):
    """The only answers with a secret: to its making and to its rotation."""

    secret = serializers.SerializerMethodField()

    class Meta(EndpointOutput.Meta):
        fields = [*EndpointOutput.Meta.fields, "secret"]

    def get_secret(self, row: WebhookEndpoint) -> str:
        return endpoints.secret_of(row)


class WebhookAttemptOutput(serializers.ModelSerializer[WebhookAttempt]):
    status = serializers.IntegerField(allow_null=True, help_text="HTTP; null: no answer.")

    class Meta:
        model = WebhookAttempt
        fields = ["number", "at", "status", "latency_ms", "error", "answer"]


class WebhookDeliveryOutput(serializers.ModelSerializer[WebhookDelivery]):
    """An event for one endpoint, with every try."""

    state = serializers.SerializerMethodField()
    attempts = WebhookAttemptOutput(many=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "event_id",
            "type",
            "subject",
            "state",
            "tries",
            "next_try_at",
            "delivered_at",
            "created_at",
            "attempts",
        ]

    def get_state(self, row: WebhookDelivery) -> str:
        """`waiting`, `delivered` or `failed`."""
        return row.state


class ReplayWebhooks(StrictSerializer):
    """One delivery, or those of a time."""

    delivery_id = serializers.UUIDField(required=False)
    since = Moment(required=False)
    until = Moment(required=False)
    only_failed = serializers.BooleanField(required=False)

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("delivery_id" in attrs) == bool({"since", "until"} & attrs.keys()):
            message = "Say which: a delivery_id, or since and until."
            raise serializers.ValidationError({"delivery_id": message}, code="which")
        return attrs


class ReplayedWebhooksOutput(serializers.Serializer[Any]):
    replayed = serializers.IntegerField(help_text=f"At most {endpoints.REPLAYED} in one call.")


_ENDPOINT = {
    "id": "01a20246-171b-757a-9780-1afe852b87c0",
    "url": "https://hooks.example.com/comms",
    "description": "Order service",
    "events": ["notification.delivered", "notification.failed"],
    "is_active": True,
    "disabled_reason": "",
    "failing_since": None,
    "created_at": "2026-11-22T09:00:00Z",
}
_MADE = {**_ENDPOINT, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
_PAGING = [
    OpenApiParameter("cursor", str),
    OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
]


class WebhookEndpoints(APIView):
    """Addresses of yours that hear of events about your messages."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.WEBHOOKS_READ,
        "POST": Scope.WEBHOOKS_WRITE,
    }

    @extend_schema(
        operation_id="webhook_endpoints_list",
        summary="List your webhook endpoints, newest first",
        parameters=_PAGING,
        responses=page_of(EndpointOutput),
    )
    def get(self, request: Request) -> Response:
        return page(endpoints.of_client(agent(request).client), EndpointOutput, request)

    @extend_schema(
        operation_id="webhook_endpoints_make",
        summary="Have events sent to an address",
        description="The answer has the secret that signs them; no other answer does.",
        request=EndpointInput,
        responses={201: EndpointMade},
        examples=[
            OpenApiExample(
                "Two types",
                value={name: _ENDPOINT[name] for name in ("url", "description", "events")},
                request_only=True,
            ),
            OpenApiExample("Made", value=_MADE, response_only=True, status_codes=["201"]),
        ],
    )
    @can_fail(Conflict)
    def post(self, request: Request) -> Response:
        caller = agent(request)
        fields = validated(EndpointInput, request)
        made = endpoints.create(caller.client, caller.scopes, fields)
        return Response(EndpointMade(made).data, status=http.HTTP_201_CREATED)


class WebhookEndpointById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.WEBHOOKS_READ,
        "PATCH": Scope.WEBHOOKS_WRITE,
        "DELETE": Scope.WEBHOOKS_WRITE,
    }

    @extend_schema(
        operation_id="webhook_endpoints_get",
        summary="A webhook endpoint",
        responses=EndpointOutput,
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        return Response(EndpointOutput(endpoints.get(agent(request).client, endpoint_id)).data)

    @extend_schema(
        operation_id="webhook_endpoints_change",
        summary="Change a webhook endpoint, or switch it on or off",
        description="What waits for an endpoint that is off is sent when it is on again.",
        request=EndpointChange,
        responses=EndpointOutput,
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        caller = agent(request)
        row = endpoints.get(caller.client, endpoint_id)
        changed = endpoints.change(row, caller.scopes, validated(EndpointChange, request))
        return Response(EndpointOutput(changed).data)

    @extend_schema(
        operation_id="webhook_endpoints_delete",
        summary="Delete a webhook endpoint, with what waits for it and its log",
        responses={204: None},
    )
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        endpoints.delete(endpoints.get(agent(request).client, endpoint_id))
        return Response(status=http.HTTP_204_NO_CONTENT)


class RotateSecret(APIView):
    """A new secret for an endpoint."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="webhook_endpoints_rotate",
        summary="Give an endpoint a new secret",
        description="The one before signs too for 24 hours. Safe to call again, but not to repeat.",
        request=None,
        responses=EndpointMade,
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        row = endpoints.get(agent(request).client, endpoint_id)
        endpoints.rotate(row)
        return Response(EndpointMade(row).data)


class WebhookDeliveries(APIView):
    """What was sent to an endpoint."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.WEBHOOKS_READ}

    @extend_schema(
        operation_id="webhook_endpoints_deliveries",
        summary="List the deliveries to an endpoint with every try, newest first",
        parameters=[*_PAGING, OpenApiParameter("state", str, enum=list(_STATES))],
        responses=page_of(WebhookDeliveryOutput),
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        rows = endpoints.get(agent(request).client, endpoint_id).deliveries
        found = rows.defer("body").prefetch_related("attempts")
        if (state := request.query_params.get("state")) is not None:
            if state not in _STATES:
                message = f"One of {', '.join(_STATES)}."
                raise InvalidInput.of("state", "invalid_choice", message)
            found = found.filter(**_STATES[state])
        return page(found, WebhookDeliveryOutput, request)


class ReplayDeliveries(APIView):
    """Send again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="webhook_endpoints_replay",
        summary="Send one delivery, or those of a time, once more",
        description="With the ids they had. What waits anyway is left alone. The oldest go first.",
        request=ReplayWebhooks,
        responses=ReplayedWebhooksOutput,
        examples=[
            OpenApiExample(
                "What failed since nine",
                value={"since": "2026-11-22T09:00:00Z", "only_failed": True},
                request_only=True,
            )
        ],
    )
    @can_fail(Conflict)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        row = endpoints.get(agent(request).client, endpoint_id)
        wanted = endpoints.Wanted(**validated(ReplayWebhooks, request))
        return Response({"replayed": endpoints.replay(row, wanted)})


class TryEndpoint(APIView):
    """A test event."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="webhook_endpoints_test",
        summary="Have a `webhook.test` event sent to an endpoint",
        description="A worker sends it; the deliveries tell what came of it.",
        request=None,
        responses={202: WebhookDeliveryOutput},
    )
    @can_fail(Conflict)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        made = endpoints.test(endpoints.get(agent(request).client, endpoint_id))
        return Response(WebhookDeliveryOutput(made).data, status=http.HTTP_202_ACCEPTED)
