#!/usr/bin/env python
"""Django's command line. Outside production it finds or starts the servers that no setting names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from commsproject import embedded

_NEEDS_NO_SERVER = {
    *("check", "collectstatic", "help", "makemigrations", "smoke", "spectacular", "version"),
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commsproject.settings.dev")
    production = os.environ["DJANGO_SETTINGS_MODULE"].endswith(".prod")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    wants_help = command.startswith("-") or {"-h", "--help"} & set(sys.argv)
    if not production and not wants_help and command not in _NEEDS_NO_SERVER:
        try:
            embedded.provide(os.environ, Path(__file__).resolve().parent)
        except embedded.EmbeddedError as error:
            sys.exit(f"The embedded servers did not start.\n{error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
