"""`make run` on a developer's or newcomer's machine. manage.py supplies the embedded servers."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from commsproject.settings.base import *  # noqa: F403
from commsproject.settings.base import BASE_DIR, env

DEBUG = True
DEVELOPMENT = True


def _own_key(name: str) -> str:
    """A random key of this installation, made on first use and kept beside its data."""
    path = Path(env.str("COMMS_DATA_DIR", default="") or BASE_DIR / ".data") / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


SECRET_KEY = env.str("SECRET_KEY", default="") or _own_key("secret-key")
ADDRESS_HASH_KEY = env.str("ADDRESS_HASH_KEY", default="") or _own_key("address-hash-key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
LIVE_ORIGINS = env.list("LIVE_ORIGINS", default=["localhost", "127.0.0.1"])
IDENTITY_DEVELOPMENT_ISSUER = True
AUTH_PASSWORD_VALIDATORS = []
WHITENOISE_USE_FINDERS = True
