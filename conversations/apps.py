from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = "Conversations"

    @override
    def ready(self) -> None:
        from commsproject.common.live import cors, registry
        from conversations import (
            access,
            live,
            personal_data,
            receivers,  # noqa: F401 - register themselves
        )
        from tracking.services import endpoints

        live.register(registry)
        cors.open_to_pages("conversations")
        endpoints.own("conversation", access.may_hear)
        personal_data.registered()
