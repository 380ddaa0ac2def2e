"""The test settings with short waits, for processes that are killed."""

from __future__ import annotations

from commsproject.settings.test import *  # noqa: F403

LEASE_SECONDS = 2.0
UNKNOWN_WAIT = {"urgent": 0.5, "normal": 1.0, "bulk": 2.0}
# Nothing hangs on purpose here, but the fakes may be late beside other work.
PROVIDER_CONNECT_TIMEOUT = PROVIDER_READ_TIMEOUT = 30.0
