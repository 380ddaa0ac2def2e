"""Valkey, asked briefly and once. Nothing in it is the truth: who finds it away goes on without it.

An answer that does not come costs one caller 0.3 s; for a second after it nobody of this process
asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SILENT_SECONDS = 1.0
_silent_until = 0.0
_outages = 0


class Away(Exception):
    """No answer, or none just now."""


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.3,
        socket_timeout=0.3,
        retry=Retry(NoBackoff(), 0),
    )


def ask(question: Callable[[redis.Redis], T], *, what: str) -> T:
    """What `question` gets from the client. Raises `Away`; `what` was asked stands in the log."""
    if time.monotonic() < _silent_until:
        raise Away
    try:
        return question(client())
    except Exception as error:
        # Whatever it is: dramatiq wraps the client's errors in its own.
        _give_up(what, type(error).__name__)
        raise Away from error


def too_late(what: str) -> None:
    """An answer came when it was of no use any more: as if none had come."""
    _give_up(what, "TooLate")


def _give_up(what: str, error: str) -> None:
    global _silent_until, _outages
    _silent_until = time.monotonic() + _SILENT_SECONDS
    _outages += 1
    log.warning("valkey unavailable", asked=what, error=error)


def outages() -> int:
    """How often this process has found it away: a new number says that something was missed."""
    return _outages
