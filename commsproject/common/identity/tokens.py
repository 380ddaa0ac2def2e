"""Validates the tokens of end users. Where they come from is a matter of settings:

- IDENTITY_JWKS_URL: checked here with the identity service's public keys. IDENTITY_ISSUER and
  IDENTITY_AUDIENCE are required of every token where they are set; set both.
- IDENTITY_VALIDATE_URL: the identity service is asked (`introspection`). Used without a JWKS.
- IDENTITY_DEVELOPMENT_ISSUER: besides either, tokens of `manage.py create_user_token`.
"""

from __future__ import annotations

from django.conf import settings

from commsproject.common.identity import claims, issuer
from commsproject.common.identity.claims import UserIdentity
from commsproject.common.identity.introspection import introspection
from commsproject.common.identity.jwks import signing_keys

MAX_LENGTH = 8192
"""Characters of a token."""

__all__ = ["UserIdentity", "validate"]


def validate(raw: str) -> UserIdentity:
    """Who presents `raw`.

    Raises InvalidCredentials (401) where the token is refused, and IdentityUnavailable (503)
    within 3 seconds where that cannot be known.
    """
    if len(raw) > MAX_LENGTH or not raw.isascii():
        raise claims.refused("no token")
    if issuer.claims_to_be_ours(raw):
        return issuer.verified(raw)
    if settings.IDENTITY_JWKS_URL:
        return claims.verified(
            raw,
            signing_keys(settings.IDENTITY_JWKS_URL).find(claims.key_id(raw)),
            issuer=settings.IDENTITY_ISSUER,
            audience=settings.IDENTITY_AUDIENCE,
        )
    if settings.IDENTITY_VALIDATE_URL:
        return introspection(settings.IDENTITY_VALIDATE_URL).validate(raw)
    raise claims.refused("no identity service is configured")
