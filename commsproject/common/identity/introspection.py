"""Asking the identity service about a token, where it publishes no keys.

POST IDENTITY_VALIDATE_URL              Authorization: Bearer <token>        (no body)
200 {"sub" or "user_id": ..., "exp"?: seconds since 1970}                    it is valid
200 {"valid": false} or {"active": false}; 400, 401, 403, 422                it is not
anything else, or no answer                                                  nobody is let in
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
from datetime import datetime
from typing import Any

import structlog

from commsproject.common.identity.cache import ExpiringCache
from commsproject.common.identity.claims import (
    UserIdentity,
    moment,
    refused,
    unverified,
    user_id,
)
from commsproject.common.identity.errors import IdentityUnavailable, InvalidCredentials
from commsproject.common.identity.service import Answer, CoolDown, call

ACCEPTED_SECONDS = 60
"""How long an accepted token is not asked about again: how late a sign-out is heard of."""

REFUSED_SECONDS = 5

_REFUSALS = {400, 401, 403, 422}
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750; nothing else is worth a request

log = structlog.get_logger(__name__)


class Introspection:
    """One validation URL and what it said of late, shared by every request of the process.

    Tokens are remembered by their SHA-256. Refused ones have a cache of their own, so that a flood
    of bad tokens cannot push out good ones.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._accepted: ExpiringCache[UserIdentity] = ExpiringCache(10_000)
        self._refused: ExpiringCache[bool] = ExpiringCache(1_000)
        self._outage = CoolDown(failures=3, seconds=5)

    def validate(self, raw: str) -> UserIdentity:
        """Raises InvalidCredentials, or IdentityUnavailable within 3 seconds."""
        if not _TOKEN.fullmatch(raw):
            raise refused("no token")
        digest = hashlib.sha256(raw.encode()).digest()
        if identity := self._accepted.get(digest):
            return identity
        if self._refused.get(digest):
            raise refused("by the identity service, a moment ago")
        try:
            identity, seconds = _read(self._ask(raw), raw)
        except InvalidCredentials:
            self._refused.put(digest, True, REFUSED_SECONDS)
            raise
        self._accepted.put(digest, identity, seconds)
        return identity

    def _ask(self, raw: str) -> Answer:
        """Only silence counts as an outage: an error answer is quick, and a caller may provoke it."""
        self._outage.check()
        try:
            answer = call("POST", self._url, {"Authorization": f"Bearer {raw}"})
        except IdentityUnavailable:
            self._outage.failed()
            raise
        self._outage.succeeded()
        return answer


@functools.lru_cache(maxsize=4)
def introspection(url: str) -> Introspection:
    """The one `Introspection` of this URL in this process."""
    return Introspection(url)


def _read(answer: Answer, raw: str) -> tuple[UserIdentity, float]:
    """The identity in the answer, and for how many seconds it may be remembered."""
    if answer.status in _REFUSALS:
        raise refused("by the identity service")
    try:
        body = json.loads(answer.body) if answer.status == 200 else None
        if not isinstance(body, dict):
            raise ValueError("no JSON object")
        if body.get("valid", True) is not True or body.get("active", True) is not True:
            raise refused("by the identity service")
        identity = UserIdentity(user_id(_subject(body)), _expiry(body, raw))
    except (ValueError, RecursionError):
        log.warning("unusable answer about a token", status=answer.status)
        raise IdentityUnavailable from None
    if identity.expires_at is None:
        return identity, ACCEPTED_SECONDS
    left = identity.expires_at.timestamp() - time.time()
    if left <= 0:
        raise refused("expired")
    return identity, min(left, ACCEPTED_SECONDS)


def _subject(body: dict[str, Any]) -> str:
    subject = body.get("sub", body.get("user_id"))
    if isinstance(subject, int) and not isinstance(subject, bool):
        return str(subject)
    if not isinstance(subject, str):
        raise ValueError("no subject")
    return subject


def _expiry(body: dict[str, Any], raw: str) -> datetime | None:
    """What the answer says, else what the token says, which the service has just vouched for."""
    exp = body.get("exp", unverified(raw).get("exp"))
    return None if exp is None else moment(exp)
