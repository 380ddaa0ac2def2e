"""The devices of a person: registered by their apps, or by the person's own token."""

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
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import NotFound
from commsproject.common.identity.scopes import Scope
from notifications import push_tokens
from notifications.api.input import Line
from notifications.api.people import permitted
from notifications.models import Device
from notifications.providers import registry
from notifications.providers.webpush import WebPush
from notifications.push_tokens import BadToken, Subscription
from notifications.services import devices
from notifications.types import Platform

# --- Input -----------------------------------------------------------------------------------


class KeysInput(StrictSerializer):
    p256dh = Line(max_length=200)
    auth = Line(max_length=200)


class SubscriptionInput(StrictSerializer):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint = Line(max_length=2000, help_text="At a push service that is known here.")
    keys = KeysInput()
    expirationTime = serializers.FloatField(  # noqa: N815 - as browsers write it
        required=False,
        allow_null=True,
        help_text="Not used: the push service tells when it is over.",
    )


class DeviceInput(StrictSerializer):
    """`POST /recipients/{user_id}/devices`."""

    platform = serializers.ChoiceField(Platform.choices)
    token = Line(max_length=4096, required=False, help_text="Of FCM or APNs.")
    subscription = SubscriptionInput(required=False, help_text="Of a browser.")
    server_key = Line(
        max_length=200,
        required=False,
        help_text="The key from `GET push/web-key` that the browser subscribed with.",
    )
    name = Line(max_length=100, required=False, help_text="As the person knows it.")
    app = serializers.RegexField(
        r"^[A-Za-z0-9._-]+$",
        max_length=200,
        required=False,
        help_text="The app's bundle id or package; for APNs where it is not the usual app.",
    )

    @override
    def validate(self, attrs: Any) -> Any:
        platform = Platform(attrs["platform"])
        is_browser = platform is Platform.WEBPUSH
        wanted, other = ("subscription", "token") if is_browser else ("token", "subscription")
        if wanted not in attrs:
            raise _wrong(wanted, f"A device of {platform.value} has one.", "required")
        if other in attrs or ("server_key" in attrs and not is_browser):
            name = other if other in attrs else "server_key"
            raise _wrong(name, f"A device of {platform.value} has none.", "not_of_platform")
        try:
            token = self._token(platform, attrs)
        except BadToken as error:
            path = error.field if error.field == "token" else f"subscription.{error.field}"
            raise _wrong(path, str(error), "bad_token") from None
        return {
            "platform": platform,
            "token": token,
            "name": attrs.get("name", ""),
            "app": attrs.get("app", ""),
        }

    def _token(self, platform: Platform, attrs: Mapping[str, Any]) -> str:
        if platform is not Platform.WEBPUSH:
            return push_tokens.normalise(platform, attrs["token"])
        keys = attrs["subscription"]["keys"]
        return Subscription.of(
            attrs["subscription"]["endpoint"],
            keys["p256dh"],
            keys["auth"],
            attrs.get("server_key", ""),
        ).dump()

    def validate_server_key(self, value: str) -> str:
        if value not in server_keys():
            raise serializers.ValidationError(
                "Not a key of ours, or no longer: subscribe again with that of GET push/web-key.",
                code="unknown_server_key",
            )
        return value


def _wrong(field: str, message: str, code: str) -> serializers.ValidationError:
    detail: Any = serializers.ErrorDetail(message, code=code)
    for name in reversed(field.split(".")):
        detail = {name: detail}
    return serializers.ValidationError(detail)


# --- Output ----------------------------------------------------------------------------------


class DeviceOutput(serializers.ModelSerializer[Device]):
    """A device. Nothing here tells how to reach it."""

    platform = serializers.ChoiceField(Platform.choices)
    removed_at = serializers.DateTimeField(allow_null=True, help_text="Null while registered.")

    class Meta:
        model = Device
        fields = [
            "id",
            "platform",
            "name",
            "app",
            "registered_at",
            "seen_at",
            "removed_at",
            "reason",
        ]


class WebKeyOutput(serializers.Serializer[Any]):
    server_key = serializers.CharField(
        help_text="For `pushManager.subscribe()`, as `applicationServerKey`."
    )


_DEVICE = {
    "id": "019a0000-0000-7000-8000-000000000007",
    "platform": "webpush",
    "name": "Firefox on the desk",
    "app": "",
    "registered_at": "2026-11-22T09:00:00Z",
    "seen_at": "2026-11-22T09:00:00Z",
    "removed_at": None,
    "reason": "",
}
_BROWSER = OpenApiExample(
    "A browser",
    value={
        "platform": "webpush",
        "subscription": {
            "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABn",
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
                "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        },
        "name": "Firefox on the desk",
    },
    request_only=True,
)
_PHONE = OpenApiExample(
    "An iPhone",
    value={"platform": "apns", "token": "4f" * 32, "app": "org.example.app"},
    request_only=True,
)

# --- Views -----------------------------------------------------------------------------------


class Devices(APIView):
    """What a person can be notified on."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
    }
    allow_end_users = True

    @extend_schema(
        operation_id="devices_list",
        summary="List a person's devices, newest first",
        description="Those that are registered. A person's own token sees their own.",
        parameters=[
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(DeviceOutput),
    )
    def get(self, request: Request, user_id: str) -> Response:
        rows = devices.of_person(permitted(request, user_id)).filter(removed_at=None)
        return page(rows, DeviceOutput, request)

    @extend_schema(
        operation_id="devices_register",
        summary="Register a device, or say that it is still in use",
        description=(
            "Call it at each start of the app: a device that is not seen for "
            f"{devices.UNSEEN_FOR.days} days is removed. 201 the first time, 200 after. A device "
            "belongs to whoever registered it last. A person has at most "
            f"{devices.MAX_DEVICES}; the one unseen for longest is removed."
        ),
        request=DeviceInput,
        responses={201: DeviceOutput, 200: DeviceOutput},
        examples=[
            _BROWSER,
            _PHONE,
            OpenApiExample("Registered", value=_DEVICE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        asked = validated(DeviceInput, request)
        device, is_new = devices.register(permitted(request, user_id), **asked)
        return Response(
            DeviceOutput(device).data,
            status=http.HTTP_201_CREATED if is_new else http.HTTP_200_OK,
        )


class DeviceById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "DELETE": Scope.AUDIENCE_WRITE,
    }
    allow_end_users = True

    @extend_schema(
        operation_id="devices_get",
        summary="One device, also a removed one, with the reason",
        responses=DeviceOutput,
    )
    def get(self, request: Request, user_id: str, device_id: UUID) -> Response:
        found = devices.get(permitted(request, user_id), device_id)
        return Response(DeviceOutput(found).data)

    @extend_schema(
        operation_id="devices_remove",
        summary="Remove a device: it is not notified any more",
        description="Call it when a person signs out. Safe to repeat.",
        responses={204: None},
    )
    def delete(self, request: Request, user_id: str, device_id: UUID) -> Response:
        devices.remove(permitted(request, user_id), device_id)
        return Response(status=http.HTTP_204_NO_CONTENT)


class WebKey(APIView):
    """What a browser must know of us before it subscribes."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": None}
    allow_end_users = True

    @extend_schema(
        operation_id="push_web_key",
        summary="The public key that browsers subscribe with",
        responses=WebKeyOutput,
    )
    @can_fail(NotFound)
    def get(self, request: Request) -> Response:
        if not (keys := server_keys()):
            raise NotFound("Web Push is not set up here: there is no VAPID_PRIVATE_KEY.")
        return Response(WebKeyOutput({"server_key": keys[0]}).data)


def server_keys() -> list[str]:
    """Our public keys, the one for new subscriptions first; none where Web Push is off."""
    provider = registry.enabled().get(Platform.WEBPUSH.value)
    return provider.server_keys if isinstance(provider, WebPush) else []
