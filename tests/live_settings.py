"""The service with a feed of the tests, and room for thousands of sockets from one address."""

from __future__ import annotations

import os

from tests.impatient_settings import *  # noqa: F403
from tests.impatient_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.live_feed"]
LIVE_HEARTBEAT_SECONDS = int(os.environ.get("LIVE_HEARTBEAT_SECONDS", "2"))
LIVE_RECONNECT_SECONDS = 2
LIVE_MAX_PER_ADDRESS = 10_000
LIVE_MAX_PER_PERSON = int(os.environ.get("LIVE_MAX_PER_PERSON", "10000"))
METRICS_TOKEN = "metrics"
