from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    @override
    def ready(self) -> None:
        from notifications import checks  # noqa: F401 - register themselves
