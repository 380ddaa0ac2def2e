from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from commsproject.common.identity import issuer
from commsproject.common.identity.errors import InvalidCredentials


class Command(BaseCommand):
    help = "Print a token of the end user USER_ID, for trying things out. Refused in production."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id")
        parser.add_argument(
            "--minutes", type=int, default=60, help="how long it holds (default 60)"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["minutes"] < 1:
            raise CommandError("--minutes has to be 1 or more.")
        try:
            token = issuer.issue(options["user_id"], timedelta(minutes=options["minutes"]))
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except InvalidCredentials as error:
            raise CommandError("USER_ID has to be 1 to 255 printable characters.") from error
        self.stdout.write(token)
