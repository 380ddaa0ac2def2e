"""Reading a JWT: what is checked in every one, whoever signed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
import structlog

from commsproject.common.identity.errors import InvalidCredentials

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Asymmetric only: with no HMAC on the list, a public key can never serve as a shared secret."""

LEEWAY_SECONDS = 30
MAX_USER_ID = 255
REFUSED = "The token is not valid or has expired. Get a new one from the identity service."

_LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class UserIdentity:
    """What a valid token says: who it is, and until when it holds (None: it does not say)."""

    user_id: str
    expires_at: datetime | None = None


def verified(raw: str, key: jwt.PyJWK, *, issuer: str | None, audience: str | None) -> UserIdentity:
    """The identity in `raw` if `key` signed it and every claim holds.

    `exp` and `sub` must be there; `iss` and `aud` as well where one is given. Clocks may differ by
    `LEEWAY_SECONDS`. Raises InvalidCredentials.
    """
    try:
        claims = _jwt.decode(
            raw,
            key,
            algorithms=ALGORITHMS,
            issuer=issuer or None,
            audience=audience or None,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub"], "verify_aud": bool(audience)},
        )
    except jwt.PyJWTError as error:
        raise refused(type(error).__name__) from None
    return UserIdentity(user_id(claims["sub"]), moment(claims["exp"]))


def unverified(raw: str) -> dict[str, Any]:
    """The claims of `raw` as anyone may have written them; empty where it is no JWT."""
    try:
        return _jwt.decode(raw, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}


def key_id(raw: str) -> str:
    """The `kid` of `raw`. Raises InvalidCredentials where it has none."""
    try:
        kid = jwt.get_unverified_header(raw).get("kid")
    except jwt.PyJWTError as error:
        raise refused(type(error).__name__) from None
    if not kid:
        raise refused("no kid")
    return str(kid)


def user_id(subject: str) -> str:
    """`subject` if it can be a user id: 1 to 255 printable characters. Else InvalidCredentials."""
    if not 0 < len(subject) <= MAX_USER_ID or not subject.isprintable() or not subject.strip():
        raise refused("unusable subject")
    return subject


def moment(exp: Any) -> datetime:
    """The `exp` claim, seconds since 1970, as a time. Raises ValueError where it is none."""
    try:
        return datetime.fromtimestamp(max(0, min(int(exp), _LAST_SECOND)), UTC)
    except (TypeError, OverflowError) as error:
        raise ValueError("exp is no number") from error


def refused(reason: str) -> InvalidCredentials:
    """The one error for any bad token. The reason goes to the log only, the token nowhere."""
    log.info("token refused", reason=reason)
    return InvalidCredentials(REFUSED)
