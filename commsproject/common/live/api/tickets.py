from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, AbstractUser
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.identity.authentication import (
    ApiKeyAuthentication,
    UserTokenAuthentication,
)
from commsproject.common.identity.principals import Agent, EndUser
from commsproject.common.identity.scopes import Scope
from commsproject.common.identity.tokens import UserIdentity
from commsproject.common.live import tickets
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.sessions import Login, can_be_revoked


class WsTicketOutput(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="Offered as the subprotocol `ticket.<ticket>`.")
    expires_in = serializers.IntegerField(help_text="Seconds in which it can be used, once.")


class IsPerson(BasePermission):
    """End users, and staff who are signed in to the console."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        caller: object = request.user
        if isinstance(caller, Agent):
            raise PermissionDenied("This is for people: call it with a user's token.")
        if isinstance(caller, AbstractUser):
            return caller.is_staff and caller.is_active
        return isinstance(caller, EndUser)


class WsTicket(APIView):
    """A ticket for one socket. Offer it with the version: `new WebSocket(url, ["comms.v1",
    "ticket." + ticket])`; the answer names `comms.v1` alone. Called by a page, the socket must be
    opened by a page of the same origin.
    """

    authentication_classes = [ApiKeyAuthentication, UserTokenAuthentication, SessionAuthentication]
    permission_classes = [IsPerson]
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {}
    allow_end_users = True

    @extend_schema(
        operation_id="ws_ticket",
        summary="Get a ticket for the WebSocket",
        request=None,
        responses={201: WsTicketOutput},
        examples=[
            OpenApiExample(
                "A ticket",
                value={"ticket": "Hk3mUyhJNWRxkDdXb0a9qnT5VfPw7Zl1sCeGt2rBoI4", "expires_in": 30},
                response_only=True,
                status_codes=["201"],
            )
        ],
    )
    def post(self, request: Request) -> Response:
        ticket = tickets.issue(_login(request), request.headers.get("Origin", ""))
        return Response({"ticket": ticket, "expires_in": tickets.SECONDS}, status=201)


def _login(request: Request) -> Login:
    caller: object = request.user
    identity: object = request.auth
    if isinstance(caller, EndUser) and isinstance(identity, UserIdentity):
        until = identity.expires_at
        return Login(
            Person(Kind.USER, caller.user_id),
            until.timestamp() if until else None,
            token=_token(request) if can_be_revoked() else "",
        )
    if isinstance(caller, AbstractBaseUser) and (key := request.session.session_key):
        return Login(
            Person(Kind.STAFF, str(caller.pk)),
            request.session.get_expiry_date().timestamp(),
            session_key=key,
        )
    raise NotAuthenticated


def _token(request: Request) -> str:
    return str(request.headers["Authorization"]).partition(" ")[2].strip()
