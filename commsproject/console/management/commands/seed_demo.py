from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from commsproject.console import demo


class Command(DatabaseCommand):
    help = "Make a staff account and demo data where they are missing. Prints how to sign in."

    @override
    def handle(self, *args: Any, **options: Any) -> str:
        if not settings.DEVELOPMENT:
            raise CommandError("Demo data is for development: this installation is none.")
        directory = Path(os.environ.get("COMMS_DATA_DIR") or settings.BASE_DIR / ".data")
        demo.content()
        demo.messages()
        return demo.staff(directory, os.environ.get("COMMS_ADMIN_PASSWORD", ""))
