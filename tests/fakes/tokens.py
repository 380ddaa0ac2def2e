"""JSON Web Tokens of an identity service, and the forgeries it must be protected from."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Algorithm = Literal["RS256", "ES256"]


@dataclass(frozen=True)
class Key:
    """A signing key and its name."""

    kid: str
    algorithm: Algorithm
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, algorithm: Algorithm) -> Key:
        kid = f"{algorithm.lower()}-{secrets.token_hex(4)}"
        if algorithm == "RS256":
            return cls(kid, algorithm, rsa.generate_private_key(65537, 2048))
        return cls(kid, algorithm, ec.generate_private_key(ec.SECP256R1()))

    def jwk(self) -> dict[str, Any]:
        """The public half, as a JWKS shows it."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            fields = RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            fields = ECAlgorithm.to_jwk(public, as_dict=True)
        wanted = {name: value for name, value in fields.items() if name != "key_ops"}
        return {**wanted, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verified(self, token: str) -> dict[str, Any] | None:
        """The claims, if this key signed them."""
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_aud": False}
        public = self.private.public_key()
        try:
            return jwt.decode(token, public, algorithms=[self.algorithm], options=options)
        except jwt.InvalidTokenError:
            return None


class TokenMint:
    """Makes tokens. Every method takes claims to add or replace; None removes a claim."""

    def __init__(self, issuer: str, audience: str, key: Callable[[Algorithm], Key]) -> None:
        self.issuer = issuer
        self.audience = audience
        self._key = key

    def valid(self, user_id: str = "u-1", *, algorithm: Algorithm = "RS256", **claims: Any) -> str:
        key = self._key(algorithm)
        return _signed(key, self._claims(user_id, claims))

    def expired(self, user_id: str = "u-1", *, ago: float = 3600, **claims: Any) -> str:
        now = int(time.time())
        return self.valid(user_id, iat=now - ago - 300, exp=int(now - ago), **claims)

    def not_yet(self, user_id: str = "u-1", *, ahead: float = 3600, **claims: Any) -> str:
        """`nbf` in the future."""
        return self.valid(user_id, nbf=int(time.time() + ahead), **claims)

    def wrong_issuer(self, user_id: str = "u-1", **claims: Any) -> str:
        return self.valid(user_id, iss="https://elsewhere.example", **claims)

    def wrong_audience(self, user_id: str = "u-1", **claims: Any) -> str:
        return self.valid(user_id, aud="another-service", **claims)

    def without_subject(self, **claims: Any) -> str:
        return self.valid(sub=None, **claims)

    def without_expiry(self, user_id: str = "u-1", **claims: Any) -> str:
        return self.valid(user_id, exp=None, **claims)

    def unknown_kid(self, user_id: str = "u-1", **claims: Any) -> str:
        """Well signed, by a key that no JWKS has."""
        return _signed(Key.make("ES256"), self._claims(user_id, claims))

    def forged_kid(self, user_id: str = "u-1", **claims: Any) -> str:
        """Signed by a stranger's key under the kid of ours."""
        stranger = Key(self._key("ES256").kid, "ES256", Key.make("ES256").private)
        return _signed(stranger, self._claims(user_id, claims))

    def alg_none(self, user_id: str = "u-1", **claims: Any) -> str:
        head = {"alg": "none", "typ": "JWT", "kid": self._key("RS256").kid}
        return _unsigned(head, self._claims(user_id, claims)) + "."

    def hs256_with_public_key(self, user_id: str = "u-1", **claims: Any) -> str:
        """The public key, which anyone has, used as an HMAC secret."""
        key = self._key("RS256")
        head = {"alg": "HS256", "typ": "JWT", "kid": key.kid}
        text = _unsigned(head, self._claims(user_id, claims))
        mac = hmac.new(key.public_pem(), text.encode(), hashlib.sha256).digest()
        return f"{text}.{_b64(mac)}"

    def tampered(self, user_id: str = "u-1", becomes: str = "u-admin", **claims: Any) -> str:
        """A good signature under changed claims."""
        head, _, signature = self.valid(user_id, **claims).split(".")
        return f"{head}.{_b64(json.dumps(self._claims(becomes, claims)).encode())}.{signature}"

    def _claims(self, user_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        plain = {"iss": self.issuer, "aud": self.audience, "sub": user_id, "iat": now}
        claims = {**plain, "exp": now + 300, "jti": secrets.token_hex(8), **changes}
        return {name: value for name, value in claims.items() if value is not None}


def _signed(key: Key, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.kid})


def _unsigned(head: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_b64(json.dumps(part).encode()) for part in (head, claims))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
