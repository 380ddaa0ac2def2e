from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = "Conversations"

    @override
    def ready(self) -> None:
        from commsproject.common.live import registry
        from conversations import (
            live,
            personal_data,
            receivers,  # noqa: F401 - register themselves
        )

        live.register(registry)
        personal_data.registered()
