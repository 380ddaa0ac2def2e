from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.serializers import StrictSerializer
from commsproject.common.identity.principals import EndUser, principal
from commsproject.common.identity.scopes import Scope
from commsproject.common.live.presence import last_seen


class PresenceFields(StrictSerializer):
    hide_last_seen = serializers.BooleanField(
        help_text="Others do not learn when this person was last connected; what was kept is deleted."
    )


class PresenceSettings(APIView):
    """What others may know of the caller's presence."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {}
    allow_end_users = True

    @extend_schema(
        operation_id="presence_get",
        summary="What others may know of my presence",
        responses=PresenceFields,
        examples=[OpenApiExample("Hidden", value={"hide_last_seen": True}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        return Response({"hide_last_seen": last_seen.is_hidden(_user_id(request))})

    @extend_schema(
        operation_id="presence_set",
        summary="Hide when I was last connected, or show it again",
        request=PresenceFields,
        responses=PresenceFields,
        examples=[OpenApiExample("Hide", value={"hide_last_seen": True})],
    )
    def put(self, request: Request) -> Response:
        given = PresenceFields(data=request.data)
        given.is_valid(raise_exception=True)
        last_seen.hide(_user_id(request), given.validated_data["hide_last_seen"])
        return Response(given.validated_data)


def _user_id(request: Request) -> str:
    caller = principal(request)
    if not isinstance(caller, EndUser):
        raise NotAuthenticated
    return caller.user_id
