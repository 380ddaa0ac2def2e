"""Primary keys: uuid7, made in Python so that an object knows its key before it is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new key. Keys of one process ascend, so a batch of rows is a range of the index."""
    return uuid7()


def floor(moment: datetime, *, slack: timedelta = timedelta(0)) -> UUID:
    """Not greater than any key made at `moment` or later: a time as the start of a range of keys.
    Before 1970 none was made. `slack`: how far apart the clocks of keys and of `moment` may be.
    """
    return UUID(int=max(0, int((moment.timestamp() - slack.total_seconds()) * 1000)) << 80)
