"""A provider token for Apple's push service: a JWT that says which team sends.

Facts: developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns.
Apple takes a token for an hour, and wants no new one within 20 minutes: of a whole team, so that all
processes of an installation share one, through Valkey. Without it each has its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from commsproject.common import valkey
from commsproject.common.loops import PerLoop
from notifications.providers.common import keys

SECONDS = 50 * 60
"""For how long a token is used."""

SHARE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return ARGV[2]
"""
"""The token that another process has left, unless it is the spent one; else ours, for all."""


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A team's key for push, from the .p8 file that Apple gives out once."""

    team_id: str
    key_id: str
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, pem: str, *, team_id: str, key_id: str) -> SigningKey:
        """Raises `ValueError`, which tells nothing of it."""
        return cls(team_id, key_id, keys.on_p256(lambda: keys.of_pem(pem)))

    @property
    def name(self) -> str:
        """The same in every process with this key, and of no other key; not secret."""
        public = self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        whole = f"{self.team_id} {self.key_id} ".encode() + public
        return hashlib.sha256(whole).hexdigest()[:32]

    def sign(self, now: float) -> str:
        claims = {"iss": self.team_id, "iat": int(now)}
        return jwt.encode(claims, self.private, algorithm="ES256", headers={"kid": self.key_id})

    def reads(self, token: str, now: float) -> bool:
        """Whether it is a token of this key that can still be used."""
        try:
            claims = jwt.decode(
                token,
                self.private.public_key(),
                algorithms=["ES256"],
                options={"verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidTokenError:
            return False
        return self.team_id == claims.get("iss") and now - _issued_at(claims) < SECONDS


class ProviderToken:
    """One for all threads and loops of a process."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._renewing = PerLoop(asyncio.Lock)
        self._value = ""
        self._ends_at = 0.0  # epoch

    async def get(self, *, spent: str = "") -> str:
        """A token that is none of `spent`: one that was refused as expired."""
        if self._lasts(spent):
            return self._value
        async with self._renewing.get():
            if not self._lasts(spent):
                self._value = await asyncio.to_thread(self._shared, spent)
                claims = jwt.decode(self._value, options={"verify_signature": False})
                self._ends_at = _issued_at(claims) + SECONDS
        return self._value

    def forget_loop(self) -> None:
        self._renewing.pop()

    def _lasts(self, spent: str) -> bool:
        return self._value not in ("", spent) and time.time() < self._ends_at

    def _shared(self, spent: str) -> str:
        """Blocking: asks Valkey."""
        now = time.time()
        ours = self._key.sign(now)
        name = f"comms:apns:{self._key.name}"
        try:
            held = valkey.ask(
                lambda client: client.eval(SHARE, 1, name, spent, ours, str(SECONDS)),
                what="the token for APNs",
            )
        except valkey.Away:
            return ours
        token = cast("bytes", held).decode(errors="replace")
        return token if self._key.reads(token, now) else ours


def _issued_at(claims: dict[str, Any]) -> float:
    return float(claims.get("iat", 0))
