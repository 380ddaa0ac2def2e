from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import Conflict
from commsproject.common.identity.scopes import Scope
from notifications.api.input import Line
from notifications.models import Category
from notifications.services import categories
from notifications.types import Channel, QuietRule


class KindField(serializers.ChoiceField):
    def __init__(self, **options: Any) -> None:
        told = "What people can say about it: which rules hold."
        super().__init__(Category.Kind.choices, help_text=told, **options)


class CategoryChange(StrictSerializer):
    """`PATCH /categories/{key}`: what is left out stays as it is."""

    name = Line(max_length=100, required=False)
    kind = KindField(required=False)
    on_unknown = serializers.ChoiceField(Category.OnUnknown.choices, required=False)
    long_text = serializers.ChoiceField(Category.LongText.choices, required=False)
    is_optional = serializers.BooleanField(required=False, help_text="People may turn it off.")
    is_opt_in = serializers.BooleanField(
        required=False, help_text="Only for those who asked for it, by name."
    )
    needs_confirmation = serializers.BooleanField(
        required=False, help_text="Who asks for it has to follow a link first (double opt-in)."
    )
    channels = serializers.ListField(
        child=serializers.ChoiceField(Channel.choices),
        required=False,
        max_length=len(Channel),
        help_text="Which are used where a message names none. Empty: all.",
    )
    fallback = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        max_length=len(Channel),
        help_text='Later steps: `{"channel", "after", "unless"}`, after so many seconds from the '
        "start, unless by then it was `sent`, `delivered` or `read`.",
    )
    quiet = serializers.ChoiceField(QuietRule.choices, required=False)
    spares_watchers = serializers.BooleanField(
        required=False, help_text="Who has the inbox open is told nowhere else."
    )
    daily_cap = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=1000
    )
    digest_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=7 * 24 * 60
    )
    digest_first_at_once = serializers.BooleanField(required=False)
    track_opens = serializers.BooleanField(
        required=False, help_text="Opens of its emails are noted, by an image of ours."
    )
    track_clicks = serializers.BooleanField(
        required=False, help_text="Links in its emails lead through this service, and are noted."
    )
    content_days = serializers.IntegerField(required=False, min_value=1, max_value=3650)
    inbox_days = serializers.IntegerField(required=False, min_value=1, max_value=3650)
    is_sensitive = serializers.BooleanField(required=False)
    is_paused = serializers.BooleanField(required=False, help_text="Nothing of it is sent.")


class CategoryInput(CategoryChange):
    """`POST /categories`."""

    key = serializers.SlugField(max_length=64)
    name = Line(max_length=100)
    kind = KindField()


class CategoryOutput(serializers.ModelSerializer[Category]):
    """What messages are about, with the rules for them."""

    kind = KindField()
    on_unknown = serializers.ChoiceField(Category.OnUnknown.choices)
    long_text = serializers.ChoiceField(Category.LongText.choices)
    quiet = serializers.ChoiceField(QuietRule.choices)

    class Meta:
        model = Category
        fields = ["key", *categories.RULES, "pause_reason", "created_at"]


_CATEGORY: dict[str, Any] = {
    "key": "news",
    "name": "News",
    "kind": "marketing",
    "on_unknown": "resend",
    "long_text": "split",
    "is_optional": True,
    "is_opt_in": False,
    "needs_confirmation": False,
    "channels": ["push"],
    "fallback": [{"channel": "email", "after": 600, "unless": "read"}],
    "quiet": "delay",
    "spares_watchers": False,
    "daily_cap": 3,
    "digest_minutes": None,
    "digest_first_at_once": False,
    "track_opens": False,
    "track_clicks": True,
    "content_days": 90,
    "inbox_days": 90,
    "is_sensitive": False,
    "is_paused": False,
    "pause_reason": "",
    "created_at": "2026-11-22T09:00:00Z",
}
_REQUEST = {
    name: _CATEGORY[name] for name in ("key", "name", "kind", "channels", "fallback", "quiet")
}


class Categories(APIView):
    """What messages are about."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="categories_list",
        summary="List categories, newest first",
        parameters=[
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(CategoryOutput),
    )
    def get(self, request: Request) -> Response:
        return page(Category.objects.order_by("-id"), CategoryOutput, request)

    @extend_schema(
        operation_id="categories_make",
        summary="Make a category",
        request=CategoryInput,
        responses={201: CategoryOutput},
        examples=[
            OpenApiExample(
                "Push first, an email after ten minutes", value=_REQUEST, request_only=True
            ),
            OpenApiExample("Made", value=_CATEGORY, response_only=True, status_codes=["201"]),
        ],
    )
    @can_fail(Conflict)
    def post(self, request: Request) -> Response:
        made = categories.make(**validated(CategoryInput, request))
        return Response(CategoryOutput(made).data, status=http.HTTP_201_CREATED)


class CategoryByKey(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "PATCH": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(operation_id="categories_get", summary="A category", responses=CategoryOutput)
    def get(self, request: Request, key: str) -> Response:
        return Response(CategoryOutput(categories.get(key)).data)

    @extend_schema(
        operation_id="categories_change",
        summary="Change the rules of a category",
        description="They hold for messages that are waiting, too. A key is for ever: messages, "
        "preferences and suppressions name it.",
        request=CategoryChange,
        responses=CategoryOutput,
    )
    def patch(self, request: Request, key: str) -> Response:
        changed = categories.change(key, **validated(CategoryChange, request))
        return Response(CategoryOutput(changed).data)
