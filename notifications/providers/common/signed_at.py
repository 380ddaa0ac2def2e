"""When a webhook was signed, as it says itself."""

from __future__ import annotations

import time

from notifications.providers.base import BadSignature

CLOCK_SKEW = 300.0
"""Seconds that a vendor's clock may be ahead of ours."""


def check(timestamp: str, max_age: float) -> None:
    """Raise `BadSignature` unless `timestamp` (Unix seconds) is at most `max_age` seconds ago."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15):
        raise BadSignature("no timestamp")
    if not -CLOCK_SKEW <= time.time() - int(timestamp) <= max_age:
        raise BadSignature("signed too long ago")
