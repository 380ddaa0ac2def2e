"""Webhooks as providers sent them, for whoever mends what could not be read. Their bodies hold
addresses, so nobody gets them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.pages import page, page_of, shown_page
from commsproject.common.api.serializers import Moment, StrictSerializer, validated
from commsproject.common.errors import NotFound
from commsproject.common.identity.scopes import Scope
from tracking.models import WebhookReceipt
from tracking.services import receipts


class ReceiptFilter(StrictSerializer):
    """`GET /webhook-receipts`."""

    provider = serializers.SlugField(max_length=50, required=False)
    state = serializers.ChoiceField(receipts.State.choices, required=False)
    since = Moment(required=False, help_text="Came then or later.")
    until = Moment(required=False, help_text="Came before.")

    def validate_provider(self, value: str) -> str:
        if value not in settings.PROVIDERS:
            raise serializers.ValidationError(
                f"There is no provider {value!r}.", code="unknown_provider"
            )
        return value


class ReceiptReplayInput(ReceiptFilter):
    """`POST /webhook-receipts/replay`: at least one field."""

    @override
    def validate(self, attrs: Any) -> Any:
        if not attrs:
            message = "Say which: an empty filter would replay every webhook there is."
            raise serializers.ValidationError({"state": message}, code="empty_filter")
        return attrs


class ReceiptOutput(serializers.ModelSerializer[WebhookReceipt]):
    """One webhook call, as far as it may be shown."""

    state = serializers.SerializerMethodField()
    size = serializers.IntegerField(help_text="Bytes of its body.")
    next_try_at = serializers.SerializerMethodField()

    class Meta:
        model = WebhookReceipt
        fields = [
            *("id", "provider", "state", "size", "received_at", "processed_at", "tries"),
            *("next_try_at", "error"),
        ]

    def get_state(self, receipt: WebhookReceipt) -> receipts.State:
        return receipts.state(receipt)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_try_at(self, receipt: WebhookReceipt) -> Any:
        """Null where it is not tried any more."""
        is_waiting = receipts.state(receipt) is receipts.State.WAITING
        return receipt.next_try_at if is_waiting else None


class ReplayOutput(serializers.Serializer[Any]):
    """How many are applied again."""

    replayed = serializers.IntegerField()


_RECEIPT = {
    "id": "019a0000-0000-7000-8000-000000000041",
    "provider": "sendgrid",
    "state": "set_aside",
    "size": 4711,
    "received_at": "2026-11-22T09:00:00Z",
    "processed_at": None,
    "tries": 8,
    "next_try_at": None,
    "error": "KeyError",
}
_PAGE = {"cursor", "limit"}


class Receipts(APIView):
    """All that came in."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.PROVIDERS_READ}

    @extend_schema(
        operation_id="webhook_receipts_list",
        summary="List providers' webhook calls, newest first",
        description="`unknown`: it was applied but for what it says of messages that are not here. "
        "`set_aside`: eight tries have failed; `error` says how.",
        parameters=[
            ReceiptFilter,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(ReceiptOutput),
        examples=[OpenApiExample("Not to be read", value=shown_page(_RECEIPT), response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = {name: value for name, value in request.query_params.items() if name not in _PAGE}
        query = ReceiptFilter(data=asked)
        query.is_valid(raise_exception=True)
        return page(
            receipts.matching(receipts.told(), query.validated_data), ReceiptOutput, request
        )


class ReplayReceipt(APIView):
    """Applying one again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.PROVIDERS_WRITE}

    @extend_schema(
        operation_id="webhook_receipts_replay",
        summary="Apply a webhook call again",
        description="What it has told before has no effect. One that waits is left as it is.",
        request=None,
        responses={202: ReceiptOutput},
    )
    def post(self, request: Request, receipt_id: UUID) -> Response:
        rows = receipts.told().filter(id=receipt_id)
        receipts.replay(rows)
        receipt = rows.first()
        if receipt is None:
            raise NotFound("There is no webhook call with this id.")
        return Response(ReceiptOutput(receipt).data, status=http.HTTP_202_ACCEPTED)


class ReplayReceipts(APIView):
    """Applying many again."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.PROVIDERS_WRITE}

    @extend_schema(
        operation_id="webhook_receipts_replay_many",
        summary="Apply webhook calls again, by filter",
        description=f"The oldest {receipts.LIMIT:,} that match; call again with a later `since`.",
        request=ReceiptReplayInput,
        responses={202: ReplayOutput},
        examples=[
            OpenApiExample(
                "What could not be read", value={"state": "set_aside"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        rows = receipts.matching(
            WebhookReceipt.objects.all(), validated(ReceiptReplayInput, request)
        )
        body = {"replayed": receipts.replay(rows)}
        return Response(body, status=http.HTTP_202_ACCEPTED)
