"""Time-based one-time codes: RFC 6238 with what every authenticator app takes, SHA-1, 30 s, 6 digits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote

STEP = 30
"""Seconds for which a code is the newest."""

DRIFT = 1
"""Steps that a telephone's clock may be wrong by, either way."""

_DIGITS = 6


def new_secret() -> bytes:
    """160 bits, as RFC 4226 recommends."""
    return secrets.token_bytes(20)


def code(secret: bytes, step: int) -> str:
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


def matching_step(secret: bytes, typed: str, now: float) -> int | None:
    """The step whose code was typed; `now`: seconds since 1970."""
    current = int(now) // STEP
    steps = range(current - DRIFT, current + DRIFT + 1)
    found = [
        step for step in steps if hmac.compare_digest(code(secret, step).encode(), typed.encode())
    ]
    return found[-1] if found else None


def typed_key(secret: bytes) -> str:
    """For those who cannot scan: groups of four letters."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def address(secret: bytes, *, name: str, issuer: str) -> str:
    """What the QR code says (Key Uri Format of Google Authenticator, which the others took over)."""
    key = base64.b32encode(secret).decode()
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?secret={key}&issuer={quote(issuer)}"
