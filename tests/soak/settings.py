"""As production, but for TLS, with vendors of this machine.

The program sets DATABASE_URL, REDIS_URL and what points the providers at its vendors.
"""

from __future__ import annotations

from commsproject.settings.base import *  # noqa: F403
from commsproject.settings.base import PROVIDERS

DEBUG = False
SECRET_KEY = "soak-only-and-long-enough-to-sign-with-sha-256"
ADDRESS_HASH_KEY = "soak-only"
ALLOWED_HOSTS = ["127.0.0.1"]
IDENTITY_DEVELOPMENT_ISSUER = True
WHITENOISE_AUTOREFRESH = True  # there is no STATIC_ROOT to warn about
WHITENOISE_USE_FINDERS = True
PROVIDERS["simulator"]["ENABLED"] = PROVIDERS["simulator-b"]["ENABLED"] = False
