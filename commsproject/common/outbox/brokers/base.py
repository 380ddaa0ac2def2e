from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from commsproject.common.outbox import Event


class Broker(Protocol):
    """Used by one thread."""

    def publish(self, events: Sequence[Event]) -> None:
        """Returns once the broker has all of them, those of one subject in this order. Raises
        `Refused`: some of them may be there, and all of them come again.
        """

    def close(self) -> None:
        """Let go of its connection. May be called twice; `publish` opens another one."""


class Refused(Exception):
    """The broker is away or does not take them; the text names the kind of trouble."""
