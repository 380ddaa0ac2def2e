"""What came back and what was complained about, for agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.pages import page, page_of, shown_page
from commsproject.common.errors import InvalidInput
from commsproject.common.identity.scopes import Scope
from notifications.types import Channel
from tracking.models import Bounce


class BounceOutput(serializers.ModelSerializer[Bounce]):
    """A bounce or complaint, in the provider's words."""

    channel = serializers.ChoiceField(Channel.choices)
    kind = serializers.ChoiceField(Bounce.Kind.choices, help_text="What it means for the address.")

    class Meta:
        model = Bounce
        fields = [
            *("id", "delivery_id", "channel", "address_hash", "category", "sender", "kind"),
            *("provider", "code", "detail", "at"),
        ]


_BOUNCE = {
    "id": "019a0000-0000-7000-8000-000000000031",
    "delivery_id": "019a0000-0000-7000-8000-000000000002",
    "channel": "email",
    "address_hash": "5f2b" * 16,
    "category": "news",
    "sender": "shop",
    "kind": "hard",
    "provider": "ses",
    "code": "5.1.1",
    "detail": "550 5.1.1 user unknown",
    "at": "2026-11-22T09:00:00Z",
}

_CHOICES = {"kind": Bounce.Kind.values, "channel": Channel.values}


class Bounces(APIView):
    """Bounces and complaints."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.AUDIENCE_READ}

    @extend_schema(
        operation_id="bounces_list",
        summary="List bounces and complaints, newest first",
        description="`hard`: the address is dead, and suppressed. `soft`: an obstacle that may "
        "pass; on three days within thirty and nothing delivered between, it is suppressed. "
        "`block`: we or the message were refused; never suppressed. `complaint`: marked as spam, "
        "and suppressed.",
        parameters=[
            OpenApiParameter("kind", str, enum=Bounce.Kind.values),
            OpenApiParameter("channel", str, enum=Channel.values),
            OpenApiParameter("category", str, description="Its key."),
            OpenApiParameter("sender", str, description="The `agent_id` of the message."),
            OpenApiParameter("provider", str),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(BounceOutput),
        examples=[OpenApiExample("A bounce", value=shown_page(_BOUNCE), response_only=True)],
    )
    def get(self, request: Request) -> Response:
        rows = Bounce.objects.order_by("-id")
        for name in ("kind", "channel", "category", "sender", "provider"):
            if value := request.query_params.get(name, "").replace("\0", ""):
                if value not in _CHOICES.get(name, [value]):
                    known = ", ".join(_CHOICES[name])
                    raise InvalidInput.of(name, "invalid_choice", f"One of {known}.")
                rows = rows.filter(**{name: value})
        return page(rows, BounceOutput, request)
