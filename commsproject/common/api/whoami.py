from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.identity.principals import Agent, EndUser, principal
from commsproject.common.identity.scopes import Scope


class WhoAmIOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["agent", "user"], help_text="A program, or a person.")
    name = serializers.CharField(required=False, help_text="The agent's name; of an agent only.")
    user_id = serializers.CharField(required=False, help_text="Of an end user only.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices), help_text="Empty for an end user."
    )
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When the key or token ends; null if it does not."
    )


class WhoAmI(APIView):
    """Whom the credentials of a request stand for. A way to try them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": None}
    allow_end_users = True

    @extend_schema(
        operation_id="whoami",
        summary="Whose credentials are these?",
        responses=WhoAmIOutput,
        examples=[
            OpenApiExample(
                "An agent",
                value={
                    "kind": "agent",
                    "name": "billing",
                    "scopes": ["notifications:read", "notifications:write"],
                    "expires_at": None,
                },
                response_only=True,
            ),
            OpenApiExample(
                "An end user",
                value={
                    "kind": "user",
                    "user_id": "u-1042",
                    "scopes": [],
                    "expires_at": "2027-01-31T12:00:00Z",
                },
                response_only=True,
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        credentials: Any = request.auth
        body = {"expires_at": credentials.expires_at, **_described(principal(request))}
        return Response(WhoAmIOutput(body).data)


def _described(caller: Agent | EndUser | None) -> dict[str, Any]:
    match caller:
        case Agent():
            return {"kind": "agent", "name": caller.client.name, "scopes": sorted(caller.scopes)}
        case EndUser():
            return {"kind": "user", "user_id": caller.user_id, "scopes": []}
    raise NotAuthenticated
