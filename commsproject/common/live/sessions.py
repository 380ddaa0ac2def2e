"""The login behind a socket: how long it holds, and whether it still does."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from commsproject.common.errors import ServiceUnavailable
from commsproject.common.identity import tokens
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.live.people import Person
from commsproject.common.staff import sessions


@dataclass(frozen=True, slots=True)
class Login:
    """Who signed in, until when (seconds since 1970), and by what it can be asked about again.

    `token` is kept only where the identity service can revoke one: where it is asked
    (IDENTITY_VALIDATE_URL). `session_key` is of staff.
    """

    person: Person
    expires_at: float | None = None
    token: str = ""
    session_key: str = ""

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and time.time() >= self.expires_at


def can_be_revoked() -> bool:
    """Whether asking about a token again can give another answer before it expires."""
    return bool(settings.IDENTITY_VALIDATE_URL) and not settings.IDENTITY_JWKS_URL


def over(logins: Collection[Login]) -> set[Login]:
    """Those that no longer hold. While the identity service is away, what held goes on."""
    return {login for login in logins if login.has_expired or not _holds(login)}


def _holds(login: Login) -> bool:
    if login.session_key:
        return _is_signed_in(login)
    if login.token:
        try:
            tokens.validate(login.token)
        except InvalidCredentials:
            return False
        except ServiceUnavailable:
            return True
    return True


def _is_signed_in(login: Login) -> bool:
    """As for any request of the console: a sign-out, a new password or a lost right ends it."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(login.session_key)
    user = get_user(request)
    return bool(
        user.is_authenticated
        and user.is_active
        and user.is_staff
        and str(user.pk) == login.person.id
        and sessions.holds(request.session, user.pk)
    )
