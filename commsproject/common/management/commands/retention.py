from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from commsproject.common.personal_data import retention

_A_WHILE = 5.0


class Command(DatabaseCommand):
    help = "Let go what is too old, all of it and at once; the scheduler does so by and by."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would go.")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for due in retention.due():
                self._tell(due.what, due.why, due.rows)
            return
        while gone := retention.run(_A_WHILE):
            for (what, why), rows in gone.items():
                self._tell(what, why, rows)
        self.stdout.write("Nothing is left that is too old.")

    def _tell(self, what: str, why: str, rows: int) -> None:
        self.stdout.write(f"{rows:>10,}  {what}: {why}")
