from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from notifications.providers.account import Verdict
from notifications.services import accounts
from notifications.services.accounts import Checked

HEADER = ("PROVIDER", "CHANNEL", "STATE", "CHECKED", "RESULT", "FOUND", "WHAT TO DO")


class Command(DatabaseCommand):
    help = (
        "Ask every vendor whether it would take our messages; non-zero if one that is on would not."
    )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        found = accounts.check()
        for line in table([HEADER, *(row for one in found for row in rows(one))]):
            self.stdout.write(line)
        if failed := [one.provider for one in found if one.failed]:
            raise CommandError(f"Would not send: {', '.join(failed)}.")


def rows(one: Checked) -> Iterator[tuple[str, ...]]:
    """A row for each check; only the first names the provider."""
    names = (one.provider, one.channels, one.state)
    for check in one.checks:
        result = "-" if one.state == accounts.OFF else check.verdict.value
        if check.verdict is Verdict.FAILED:
            result = result.upper()
        yield (*names, check.what, result, printable(check.found), check.advice)
        names = ("", "", "")


def printable(text: str) -> str:
    """What vendors say, without what would make a terminal do something."""
    return "".join(character if character.isprintable() else " " for character in text)


def table(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as what is in them."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
