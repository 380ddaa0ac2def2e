"""As production, but for TLS and with providers that are sinks on this machine.

The program sets DATABASE_URL, REDIS_URL and the provider of a run: SENDGRID_API_URL, SMTP_URL or
BENCH_NULL.
"""

from __future__ import annotations

from commsproject.common.env import Rate
from commsproject.settings.base import *  # noqa: F403
from commsproject.settings.base import PROVIDERS, env

DEBUG = False
SECRET_KEY = "benchmarks-only-and-long-enough-to-sign-with-sha-256"
ADDRESS_HASH_KEY = "benchmarks-only"
ALLOWED_HOSTS = ["127.0.0.1"]

# Limits are on, and nothing reaches them.
_ROOM = {"COUNT": 1_000_000, "SECONDS": 1.0, "UNIT": "recipients"}
PROVIDERS["sendgrid"]["LIMIT"] = PROVIDERS["smtp"]["LIMIT"] = _ROOM
API_LIMITS = {"agent": Rate(1_000_000, 1.0), "user": Rate(1_000_000, 1.0)}

PROVIDERS["simulator"]["ENABLED"] = False
PROVIDERS["null"] = {
    "CLASS": "tests.performance.null.Null",
    "ENABLED": env.bool("BENCH_NULL", default=False),
    "LIMIT": _ROOM,
    "OPTIONS": {},
}
