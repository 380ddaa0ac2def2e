"""The service on hosts of its own, by its own settings; with SHORT_WAITS they wait a third as long."""

from __future__ import annotations

import os

from commsproject.settings import comms
from tests.live_settings import *  # noqa: F403
from tests.live_settings import DATABASES

ALLOWED_HOSTS = ["*"]

if os.environ.get("SHORT_WAITS"):
    patience = DATABASES["default"]["OPTIONS"]
    patience |= {"keepalives_idle": 1, "keepalives_interval": 1, "tcp_user_timeout": 3_000}
    patience["options"] += (
        " -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_user_timeout=3000"
    )
else:
    LEASE_SECONDS = comms.LEASE_SECONDS
    UNKNOWN_WAIT = comms.UNKNOWN_WAIT
