"""The test suite: the same code on servers of its own, with no provider but the simulator."""

from __future__ import annotations

from commsproject.settings.base import *  # noqa: F403

DEBUG = False
SECRET_KEY = "tests-only-and-long-enough-to-sign-with-sha-256"  # noqa: S105
ADDRESS_HASH_KEY = "tests-only"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
IDENTITY_DEVELOPMENT_ISSUER = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
