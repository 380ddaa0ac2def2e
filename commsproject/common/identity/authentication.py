"""`Authorization: Bearer`, with an API key or a user's token. Settings load this module early: it
imports no more of DRF than it needs.
"""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from commsproject.common.identity import keys, tokens
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.identity.principals import Agent, EndUser
from commsproject.common.identity.tokens import UserIdentity
from commsproject.common.models import ApiKey


class _Bearer(BaseAuthentication):
    @override
    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class ApiKeyAuthentication(_Bearer):
    """`request.user` becomes the `Agent`, `request.auth` its `ApiKey`."""

    @override
    def authenticate(self, request: Request) -> tuple[Agent, ApiKey] | None:
        raw = _presented(request)
        if raw is None or not raw.startswith(keys.MARK):
            return None
        try:
            key = keys.authenticate(raw)
        except InvalidCredentials as error:
            raise AuthenticationFailed(error.detail) from None
        return Agent(key.client, frozenset(key.scopes)), key


class UserTokenAuthentication(_Bearer):
    """`request.user` becomes the `EndUser`, `request.auth` the `UserIdentity`."""

    @override
    def authenticate(self, request: Request) -> tuple[EndUser, UserIdentity] | None:
        raw = _presented(request)
        if raw is None or raw.startswith(keys.MARK):
            return None
        try:
            identity = tokens.validate(raw)
        except InvalidCredentials as error:
            raise AuthenticationFailed(error.detail) from None
        return EndUser(identity.user_id), identity


def _presented(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None
