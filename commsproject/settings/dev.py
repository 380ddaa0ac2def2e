"""`make run` on a developer's or newcomer's machine. manage.py supplies the embedded servers."""

from __future__ import annotations

from commsproject.settings.base import *  # noqa: F403
from commsproject.settings.base import env

DEBUG = True
SECRET_KEY = "development-only"  # noqa: S105 - no secret: the production settings demand their own
ADDRESS_HASH_KEY = "development-only"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
IDENTITY_DEVELOPMENT_ISSUER = True
AUTH_PASSWORD_VALIDATORS = []
WHITENOISE_USE_FINDERS = True
