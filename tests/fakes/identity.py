"""The identity service: a JWKS, POST /auth/validate, and tokens good and bad."""

from __future__ import annotations

import time
from typing import Any

from typing_extensions import override

from tests.fakes.http import FakeHttpServer
from tests.fakes.tokens import Algorithm, Key, TokenMint
from tests.fakes.wire import Request, Response

JWKS_PATH = "/.well-known/jwks.json"
VALIDATE_PATH = "/auth/validate"


class IdentityServer(FakeHttpServer):
    """`when` of the script matches the path: `script.when("/auth/validate", Hang())`."""

    def __init__(self, audience: str = "comms") -> None:
        super().__init__()
        self.keys: list[Key] = [Key.make("RS256"), Key.make("ES256")]
        self.mint = TokenMint(self.url, audience, self._current)
        self.revoked: set[str] = set()

    @property
    def jwks_url(self) -> str:
        return self.url + JWKS_PATH

    @property
    def validate_url(self) -> str:
        return self.url + VALIDATE_PATH

    def rotate(self, *, keep_old: bool = False) -> None:
        """New keys with new kids. The old ones leave the JWKS unless kept for an overlap."""
        fresh = [Key.make("RS256"), Key.make("ES256")]
        self.keys = fresh + (self.keys if keep_old else [])

    def revoke(self, token: str) -> None:
        """From now on /auth/validate refuses this token."""
        self.revoked.add(token)

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        return (request.path,)

    @override
    def respond(self, request: Request) -> Response:
        if (request.method, request.path) == ("GET", JWKS_PATH):
            keys = [key.jwk() for key in self.keys]
            return Response.of(200, {"keys": keys}, {"Cache-Control": "max-age=300"})
        if (request.method, request.path) == ("POST", VALIDATE_PATH):
            return self._validate(request)
        return Response.of(404, {"detail": "not found"})

    def _validate(self, request: Request) -> Response:
        token = _presented(request)
        claims = None if token in self.revoked else self._claims(token)
        if claims is None:
            return Response.of(401, {"valid": False, "detail": "invalid token"})
        return Response.of(200, {"valid": True, "user_id": claims["sub"], "claims": claims})

    def _claims(self, token: str) -> dict[str, Any] | None:
        for key in self.keys:
            claims = key.verified(token)
            if claims is not None:
                break
        else:
            return None
        mine = (claims.get("iss"), claims.get("aud")) == (self.mint.issuer, self.mint.audience)
        current = claims.get("nbf", 0) <= time.time() < claims.get("exp", 0)
        return claims if mine and current and claims.get("sub") else None

    def _current(self, algorithm: Algorithm) -> Key:
        return next(key for key in self.keys if key.algorithm == algorithm)


def _presented(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    return str(request.json.get("token", "")) if isinstance(request.json, dict) else ""
