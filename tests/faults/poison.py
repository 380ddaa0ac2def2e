"""A part of the service that dies of certain messages: an app for the processes of the poison test."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from typing_extensions import override

KILLS = "kills when it is rendered"
"""A message whose data says so under `poison` takes its process with it."""


class Poison(AppConfig):
    name = "tests.faults.poison"
    label = "poison"
    path = str(Path(__file__).parent)

    @override
    def ready(self) -> None:
        from notifications.services.render import Source

        harmless = Source.render

        def deadly(source: Source, own: Mapping[str, Any] | None, *more: Any) -> dict[str, str]:
            if own and own.get("poison") == KILLS:
                os.kill(os.getpid(), signal.SIGKILL)
            return harmless(source, own, *more)

        setattr(Source, "render", deadly)  # noqa: B010 - mypy knows it as a method
