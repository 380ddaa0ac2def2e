"""Settings of signing in to the staff pages and of the trail of what staff do."""

from __future__ import annotations

from commsproject.common.env import Env

env = Env()

STAFF_TWO_FACTOR = env.bool("STAFF_TWO_FACTOR", default=False)
"""Whether everybody has to show a second factor. Those who have set one up have to in any case.
Production demands it unless told."""

STAFF_SESSION_IDLE_MINUTES = max(env.int("STAFF_SESSION_IDLE_MINUTES", default=60), 5)
STAFF_SESSION_HOURS = max(env.int("STAFF_SESSION_HOURS", default=12), 1)
SESSION_COOKIE_AGE = STAFF_SESSION_HOURS * 3600

AUDIT_DAYS = max(env.int("AUDIT_DAYS", default=730), 30)
"""For so long the trail of what staff did is kept."""
