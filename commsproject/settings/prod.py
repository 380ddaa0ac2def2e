"""Production: secrets and what nobody could guess are demanded, all is served over TLS."""

from __future__ import annotations

from urllib.parse import urlsplit

from commsproject.settings.base import *  # noqa: F403
from commsproject.settings.base import PROVIDERS, STORAGES, env

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ADDRESS_HASH_KEY = env.str("ADDRESS_HASH_KEY")
"""Keys the hashes of the suppression list. Changing it forgets every opt-out: never rotate it."""

PUBLIC_URL = env.str("PUBLIC_URL").rstrip("/")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname or ""])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
# The simulator tells everybody that all was delivered: in production only on request, for staging.
for _name in ("simulator", "simulator-b"):
    PROVIDERS[_name]["ENABLED"] = env.bool("SIMULATOR", default=False)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
STAFF_TWO_FACTOR = env.bool("STAFF_TWO_FACTOR", default=True)
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STORAGES["staticfiles"]["BACKEND"] = "whitenoise.storage.CompressedManifestStaticFilesStorage"
