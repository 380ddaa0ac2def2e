"""Settings of conversations: docs/subsystems/conversations.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commsproject.common.env import Env

env = Env()

ATTACHMENT_MAX_SIZE = env.int("ATTACHMENT_MAX_SIZE", default=25 * 1024 * 1024)
"""Bytes of one file."""

CLAMD_URL = env.str("CLAMD_URL", default="")
"""ClamAV's daemon, `tcp://clamd:3310` or `unix:///run/clamav/clamd.ctl`; empty: nothing is scanned."""

CONVERSATION_AWAY_MINUTES = env.int("CONVERSATION_AWAY_MINUTES", default=5)
"""After so long unread, people are told elsewhere. 0: never."""

CONVERSATION_INVITES = env.rate("CONVERSATION_INVITES", default="500/86400")
"""People whom one end user may bring into conversations in any so many seconds."""

SUPPORT_ADDRESSES = env.list("SUPPORT_ADDRESSES", default=[])
"""Addresses and numbers of ours: what comes there, and answers nothing, is for the support team."""


def attachment_storage(base: Path) -> dict[str, Any]:
    """Where files are: a private bucket where one is named, else below the data directory."""
    if bucket := env.str("ATTACHMENT_BUCKET", default=""):
        options = {
            "bucket_name": bucket,
            "endpoint_url": env.str("ATTACHMENT_S3_URL", default="") or None,
            "default_acl": "private",
            "file_overwrite": False,
        }
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    directory = Path(env.str("COMMS_DATA_DIR", default="") or base / ".data") / "attachments"
    options = {
        "location": str(directory),
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    }
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
