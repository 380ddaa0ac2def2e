"""The test settings with events sent to where the environment says."""

from __future__ import annotations

import os

from commsproject.settings.test import *  # noqa: F403

EVENTS_URL = os.environ["EVENTS_URL"]
