"""The development issuer: tokens for trying things out where there is no identity service.

Ed25519 with a key made from SECRET_KEY, an `iss` and an `aud` of its own: its tokens fail every
check of a real identity service, and those of a real one fail here.
"""

from __future__ import annotations

import functools
from datetime import timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.crypto import salted_hmac
from jwt.algorithms import OKPAlgorithm

from commsproject.common.identity import claims

ISSUER = AUDIENCE = "urn:comms:development"


def issue(user_id: str, lifetime: timedelta) -> str:
    """A token of `user_id`. Raises ImproperlyConfigured where this issuer is off, as in production,
    and InvalidCredentials for an unusable user id.
    """
    now = timezone.now()
    content = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.user_id(user_id),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode(content, _key(), algorithm="EdDSA")


def claims_to_be_ours(raw: str) -> bool:
    """Whether to judge `raw` here. Always False where this issuer is off."""
    return settings.IDENTITY_DEVELOPMENT_ISSUER and claims.unverified(raw).get("iss") == ISSUER


def verified(raw: str) -> claims.UserIdentity:
    """The identity in a token of `issue`. Raises InvalidCredentials for any other."""
    public = jwt.PyJWK(OKPAlgorithm.to_jwk(_key().public_key(), as_dict=True))
    return claims.verified(raw, public, issuer=ISSUER, audience=AUDIENCE)


def _key() -> Ed25519PrivateKey:
    if not settings.IDENTITY_DEVELOPMENT_ISSUER:
        raise ImproperlyConfigured(
            "The development issuer is off (IDENTITY_DEVELOPMENT_ISSUER): only an identity service "
            "issues tokens here."
        )
    return _derived(settings.SECRET_KEY)


@functools.lru_cache(maxsize=2)
def _derived(secret: str) -> Ed25519PrivateKey:
    seed = salted_hmac(ISSUER, "signing key", secret=secret, algorithm="sha256").digest()
    return Ed25519PrivateKey.from_private_bytes(seed)
