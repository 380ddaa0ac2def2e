"""The web process of conversations: with tokens of its own making."""

from __future__ import annotations

from tests.performance.settings import *  # noqa: F403

IDENTITY_DEVELOPMENT_ISSUER = True
LIVE_MAX_PER_ADDRESS = LIVE_MAX_PER_PERSON = LIVE_MAX_CONNECTIONS = 20_000
