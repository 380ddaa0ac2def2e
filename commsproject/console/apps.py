from __future__ import annotations

from django.apps import AppConfig
from django.contrib import admin
from typing_extensions import override


class ConsoleConfig(AppConfig):
    name = "commsproject.console"
    label = "console"
    verbose_name = "Console"

    @override
    def ready(self) -> None:
        admin.site.index_template = "console/dashboard.html"
