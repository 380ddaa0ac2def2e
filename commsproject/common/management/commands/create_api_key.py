from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from commsproject.common.errors import InvalidInput
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey


class Command(DatabaseCommand):
    help = "Make an API key of the agent NAME, who is created if new. The last line is the key."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--scope",
            action="append",
            metavar="S",
            help=f"what the key may do, repeatable (default: everything): {', '.join(Scope.values)}",
        )
        parser.add_argument("--expires-in-days", type=int, metavar="N", help="default: never")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        expires_at = _in_days(options["expires_in_days"])
        try:
            with transaction.atomic():
                client, is_new = _client(options["name"])
                key, raw = keys.issue(client, options["scope"] or Scope.values, expires_at)
        except InvalidInput as error:
            raise CommandError(error.detail) from error
        self._explain(key, is_new=is_new)
        self.stdout.write(raw)

    def _explain(self, key: ApiKey, *, is_new: bool) -> None:
        """To stderr: a script that takes stdout gets the key alone."""
        agent = "New agent" if is_new else "Agent"
        until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "for good"
        if not key.client.is_active:
            self.stderr.write(f"{agent} {key.client.name} is inactive: the key will be refused.")
        self.stderr.write(
            f"{agent} {key.client.name}: {', '.join(key.scopes)}; {until}. "
            "Keep the key, it is not shown again:"
        )


def _in_days(days: int | None) -> datetime | None:
    try:
        return None if days is None else timezone.now() + timedelta(days=days)
    except OverflowError as error:
        raise CommandError("--expires-in-days is too many days.") from error


def _client(name: str) -> tuple[ApiClient, bool]:
    """The agent of this name, and whether it is new."""
    if client := ApiClient.objects.filter(name=name).first():
        return client, False
    client = ApiClient(name=name)
    try:
        client.full_clean()
    except ValidationError as error:
        raise CommandError(f"NAME: {' '.join(error.messages)}") from error
    client.save()
    return client, True
