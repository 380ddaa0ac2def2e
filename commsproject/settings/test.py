"""The test suite: the same code on servers of its own, with no provider but the simulator.

Loading this module starts the servers unless the environment names others; xdist's workers inherit
them from the first process, each with databases of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from commsproject import embedded

if not os.environ.get("DATABASE_URL"):
    _directory = Path(tempfile.mkdtemp(prefix="comms-test-"))
    atexit.register(shutil.rmtree, _directory, ignore_errors=True)
    for _kind in (embedded.Postgres, embedded.Valkey):
        _server = embedded.Server(_kind, _directory / _kind.name, durable=False)
        os.environ[_kind.variable] = _server.start()
        atexit.register(_server.stop)

_number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")

from commsproject.settings.base import *  # noqa: E402, F403
from commsproject.settings.base import PROVIDERS, STORAGES, channel_layers  # noqa: E402
from commsproject.settings.base import REDIS_URL as _SHARED  # noqa: E402

PROVIDERS["simulator-b"]["ENABLED"] = False  # who tests failover says so
REDIS_URL = "/".join([_SHARED.rpartition("/")[0], str(int(_number) % 16)])
EVENTS_URL = REDIS_URL
CHANNEL_LAYERS = channel_layers(REDIS_URL)

STORAGES["attachments"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}

DEBUG = False
SECRET_KEY = "tests-only-and-long-enough-to-sign-with-sha-256"  # noqa: S105
ADDRESS_HASH_KEY = "tests-only"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
IDENTITY_DEVELOPMENT_ISSUER = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # there is no STATIC_ROOT to warn about
WHITENOISE_USE_FINDERS = True
