"""A provider that takes everything at once: what is left is the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from notifications.providers.base import LoopProvider
from notifications.types import Channel, Outbound, Sent


class Null(LoopProvider):
    channels = frozenset(Channel)
    batch_limit: ClassVar[int] = 500

    @override
    def send(self, message: Outbound) -> Sent:
        return Sent(ref=message.attempt_id.hex, http_status=202)

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        return Sent(ref=messages[0].attempt_id.hex, http_status=202)
