from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WebhookPost:
    """Body and headers of a request from a provider to us."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
