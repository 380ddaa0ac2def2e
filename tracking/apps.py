from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class TrackingConfig(AppConfig):
    name = "tracking"
    verbose_name = "Tracking"

    @override
    def ready(self) -> None:
        from tracking import receivers  # noqa: F401 - register themselves
