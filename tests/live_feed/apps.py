from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class LiveFeedConfig(AppConfig):
    """For processes of a test: the same service with one more feed."""

    name = "tests.live_feed"

    @override
    def ready(self) -> None:
        from tests.live_feed import rooms

        rooms.register()
