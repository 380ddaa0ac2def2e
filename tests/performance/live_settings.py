"""The web process of the fan-out: with a feed of the tests, and room for its clients."""

from __future__ import annotations

from tests.performance.settings import *  # noqa: F403
from tests.performance.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.live_feed"]
LIVE_MAX_PER_ADDRESS = LIVE_MAX_PER_PERSON = LIVE_MAX_CONNECTIONS = 20_000
