from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class CommonConfig(AppConfig):
    name = "commsproject.common"
    label = "common"
    verbose_name = "Access and operations"

    @override
    def ready(self) -> None:
        from commsproject.common.api import schema  # noqa: F401 - registers itself
        from commsproject.common.identity import checks  # noqa: F401 - register themselves
        from commsproject.common.live import metrics  # noqa: F401 - registers itself
