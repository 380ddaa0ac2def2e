"""People and what is known of them: by agents, and what is a person's own by themselves."""

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
from commsproject.common.api.serializers import JsonObject, Moment, StrictSerializer, validated
from commsproject.common.errors import Conflict
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.personal_data import work
from notifications.api import personal_data
from notifications.api.input import AddressField, LocaleField, ZoneField
from notifications.api.people import permitted
from notifications.models import Address, Recipient
from notifications.services import recipients
from notifications.services.recipients import Known
from notifications.types import Channel

MAX_DATA_KEYS = 50

# --- Input ---------------------------------------------------------------------------------------


class RecipientInput(StrictSerializer):
    """`PUT` and `PATCH /recipients/{user_id}`: what is left out stays as it is."""

    locale = LocaleField(required=False, allow_blank=True)
    time_zone = ZoneField(required=False, allow_blank=True)
    data = JsonObject(  # type: ignore[assignment]  # a field, as DRF has it
        required=False, help_text=f"{MAX_DATA_KEYS} entries at most, in place of those there were."
    )
    paused_until = Moment(
        required=False, allow_null=True, help_text="Only essential messages until then."
    )
    emails = serializers.ListField(
        child=AddressField(Channel.EMAIL), required=False, max_length=20, help_text="Added."
    )
    phones = serializers.ListField(
        child=AddressField(Channel.SMS), required=False, max_length=20, help_text="Added. E.164."
    )
    topics = serializers.ListField(
        child=serializers.SlugField(max_length=64), required=False, max_length=100
    )

    def validate_data(self, value: dict[str, Any]) -> dict[str, Any]:
        if len(value) > MAX_DATA_KEYS:
            raise serializers.ValidationError(f"{MAX_DATA_KEYS} entries at most.", code="too_many")
        return value

    @override
    def validate(self, attrs: Any) -> Any:
        return {
            "fields": {name: attrs[name] for name in recipients.COLUMNS if name in attrs},
            "addresses": [
                *((Channel.EMAIL, value) for value in attrs.get("emails", ())),
                *((Channel.SMS, value) for value in attrs.get("phones", ())),
            ],
            "topics": attrs.get("topics", ()),
        }


class AddressInput(StrictSerializer):
    """`POST /recipients/{user_id}/addresses`: one of the two."""

    email = AddressField(Channel.EMAIL, required=False)
    phone = AddressField(Channel.SMS, required=False, help_text="E.164.")
    verified = serializers.BooleanField(
        default=False, help_text="Whether you know that it is theirs. Agents only."
    )

    @override
    def validate(self, attrs: Any) -> Any:
        given = [(Channel.EMAIL, "email"), (Channel.SMS, "phone")]
        found = [(channel, attrs[name]) for channel, name in given if attrs.get(name)]
        if len(found) != 1:
            raise serializers.ValidationError("Give an email or a phone.", code="required")
        return {"address": found[0], "verified": attrs["verified"]}


# --- Output --------------------------------------------------------------------------------------


class AddressOutput(serializers.ModelSerializer[Address]):
    """An email address or a phone number."""

    channel = serializers.ChoiceField(Channel.choices)
    value = serializers.CharField()

    class Meta:
        model = Address
        fields = ["id", "channel", "value", "verified_at", "created_at"]


class RecipientOutput(serializers.ModelSerializer[Recipient]):
    """A person."""

    addresses = AddressOutput(many=True)
    topics = serializers.SlugRelatedField[Any]("key", many=True, read_only=True)

    class Meta:
        model = Recipient
        fields = [
            "user_id",
            "locale",
            "time_zone",
            "data",
            "paused_until",
            "addresses",
            "topics",
            "created_at",
        ]


_PERSON = {
    "user_id": "u-42",
    "locale": "pt-BR",
    "time_zone": "America/Sao_Paulo",
    "data": {"plan": "pro"},
    "paused_until": None,
    "addresses": [
        {
            "id": "019a0000-0000-7000-8000-000000000011",
            "channel": "email",
            "value": "ada@example.com",
            "verified_at": "2026-11-22T09:00:00Z",
            "created_at": "2026-11-22T09:00:00Z",
        }
    ],
    "topics": ["release-notes"],
    "created_at": "2026-11-22T09:00:00Z",
}
_REQUEST = OpenApiExample(
    "Language, place and an address",
    value={
        "locale": "pt-BR",
        "time_zone": "America/Sao_Paulo",
        "emails": ["ada@example.com"],
        "data": {"plan": "pro"},
        "topics": ["release-notes"],
    },
    request_only=True,
)
_ANSWER = OpenApiExample("A person", value=_PERSON, response_only=True)

# --- Views ---------------------------------------------------------------------------------------


class Recipients(APIView):
    """Everybody who is known."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.AUDIENCE_READ}

    @extend_schema(
        operation_id="recipients_list",
        summary="List people, the latest first",
        parameters=[
            OpenApiParameter("topic", str, description="Those of this topic only."),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(RecipientOutput),
    )
    def get(self, request: Request) -> Response:
        rows = Recipient.objects.prefetch_related("addresses", "topics")
        if topic := request.query_params.get("topic"):
            rows = rows.filter(topics__key=topic)
        return page(rows, RecipientOutput, request)


class RecipientByUserId(APIView):
    """One person."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "PUT": Scope.AUDIENCE_WRITE,
        "PATCH": Scope.AUDIENCE_WRITE,
        "DELETE": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="recipients_get",
        summary="A person, with addresses and topics",
        responses=RecipientOutput,
        examples=[_ANSWER],
    )
    def get(self, request: Request, user_id: str) -> Response:
        return Response(RecipientOutput(recipients.get(permitted(request, user_id))).data)

    @extend_schema(
        operation_id="recipients_put",
        summary="Say what you know of a person, who may be new",
        description=(
            "What is left out stays as it is; addresses and topics are added. Safe to repeat. "
            "People are also made by the first message to them."
        ),
        request=RecipientInput,
        responses=RecipientOutput,
        examples=[_REQUEST, _ANSWER],
    )
    @can_fail(Conflict)
    def put(self, request: Request, user_id: str) -> Response:
        known = Known(permitted(request, user_id), **validated(RecipientInput, request))
        recipients.put([known])
        return Response(RecipientOutput(recipients.get(user_id)).data)

    @extend_schema(
        operation_id="recipients_change",
        summary="Change a person who is known",
        request=RecipientInput,
        responses=RecipientOutput,
        examples=[_REQUEST, _ANSWER],
    )
    @can_fail(Conflict)
    def patch(self, request: Request, user_id: str) -> Response:
        recipients.get(permitted(request, user_id))
        return self.put(request, user_id)

    @personal_data.erase_schema
    def delete(self, request: Request, user_id: str) -> Response:
        asked_by = agent(request).client
        return personal_data.started(work.ask_erasure(permitted(request, user_id), client=asked_by))


class Addresses(APIView):
    """Where a person can be written to."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="addresses_list",
        summary="List a person's addresses, newest first",
        parameters=[
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(AddressOutput),
    )
    def get(self, request: Request, user_id: str) -> Response:
        return page(recipients.addresses_of(permitted(request, user_id)), AddressOutput, request)

    @extend_schema(
        operation_id="addresses_add",
        summary="Add an address",
        description="201 where it is new, 200 where it was known. Of several, messages go to the "
        "newest verified one.",
        request=AddressInput,
        responses={201: AddressOutput, 200: AddressOutput},
        examples=[
            OpenApiExample(
                "A phone", value={"phone": "+4915112345678", "verified": True}, request_only=True
            )
        ],
    )
    @can_fail(Conflict)
    def post(self, request: Request, user_id: str) -> Response:
        asked = validated(AddressInput, request)
        address, is_new = recipients.add_address(
            permitted(request, user_id), *asked["address"], is_verified=asked["verified"]
        )
        status = http.HTTP_201_CREATED if is_new else http.HTTP_200_OK
        return Response(AddressOutput(address).data, status=status)


class AddressById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"DELETE": Scope.AUDIENCE_WRITE}

    @extend_schema(
        operation_id="addresses_remove",
        summary="Remove an address: nothing more is sent there",
        responses={204: None},
    )
    def delete(self, request: Request, user_id: str, address_id: UUID) -> Response:
        recipients.remove_address(permitted(request, user_id), address_id)
        return Response(status=http.HTTP_204_NO_CONTENT)
