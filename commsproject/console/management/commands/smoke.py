from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from commsproject.common.identity import issuer
from commsproject.console.smoke import PARTS, Asked, Failed, Smoke


class Command(BaseCommand):
    help = (
        "Ask the installation at URL whether it works: health, a message and its receipt, the socket, "
        "an outgoing webhook. Exit code 1 where something does not. It leaves two messages with the "
        "reference `smoke`."
    )
    requires_system_checks: list[str] = []

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="https://comms.example.com")
        parser.add_argument(
            "--api-key",
            default=os.environ.get("COMMS_API_KEY", ""),
            help="of an agent with all scopes (default: COMMS_API_KEY of the environment)",
        )
        parser.add_argument(
            "--user-token",
            default=os.environ.get("COMMS_USER_TOKEN", ""),
            help="of any person (default: COMMS_USER_TOKEN, then one of the development issuer)",
        )
        parser.add_argument(
            "--to",
            default="delivered@simulator.test",
            help="who gets the message (default: %(default)s; real providers need a real address)",
        )
        parser.add_argument(
            "--listen", default="127.0.0.1:0", help="take webhooks here (default: %(default)s)"
        )
        parser.add_argument(
            "--webhook-url", default="", help="where the service finds that (default: the same)"
        )
        parser.add_argument(
            "--seconds", type=float, default=60, help="to wait (default: %(default)s)"
        )
        parser.add_argument("--skip", action="append", default=[], choices=PARTS, help="repeatable")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        with closing(Smoke(_asked(options))) as smoke:
            works = [
                self._try(name, partial(part, smoke), options["skip"])
                for name, part in PARTS.items()
            ]
        if not all(works):
            count = works.count(False)
            raise CommandError(f"{count} of these do not work: docs/how-to/troubleshooting.md.")
        self.stdout.write("It works.")

    def _try(self, name: str, part: Callable[[], str], skipped: list[str]) -> bool:
        """Say what came of it; False where it does not work."""
        if name in skipped:
            self.stdout.write(f"skipped  {name}")
            return True
        try:
            self.stdout.write(f"ok       {name}: {part()}")
        except Failed as error:
            self.stdout.write(f"FAILED   {name}: {error}")
            return False
        return True


def _asked(options: dict[str, Any]) -> Asked:
    """Raises CommandError."""
    host, _, port = options["listen"].rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise CommandError("--listen is HOST:PORT.")
    if not _is_address(options["url"]):
        raise CommandError("URL is http:// or https:// and a host.")
    if not options["api_key"]:
        raise CommandError("Give --api-key: manage.py create_api_key NAME prints one.")
    return Asked(
        url=options["url"].rstrip("/"),
        key=options["api_key"],
        user_token=options["user_token"] or _development_token(),
        to=options["to"],
        listen=(host or "127.0.0.1", int(port)),
        webhook_url=options["webhook_url"],
        seconds=options["seconds"],
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _development_token() -> str:
    """Empty where this installation has another issuer."""
    try:
        return issuer.issue("smoke", timedelta(minutes=10))
    except ImproperlyConfigured:
        return ""
