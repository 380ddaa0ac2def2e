"""Primary keys: uuid7, made in Python so that an object knows its key before it is stored."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new key. Keys of one process ascend, so a batch of rows is a range of the index."""
    return uuid7()
