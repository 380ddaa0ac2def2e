"""What this process's sockets did, for `/metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    sockets: int = 0
    opened: int = 0
    received: int = 0
    sent: int = 0
    dropped: int = 0
    """Frames that may be lost, and were: their reader was too slow."""
    refused_handshakes: int = 0
    """For their origin, or without our subprotocol."""
    resyncs: int = 0
    resubscribed: int = 0
    """Times that the channel layer had gone silent."""
    refused: Counter[str] = field(default_factory=Counter)
    """Frames answered with an error, by its code."""
    closed: Counter[str] = field(default_factory=Counter)
    """Sockets that we closed, by reason."""


counts = Counts()
