from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from notifications.services import audit


class Command(DatabaseCommand):
    help = "Reconcile the ledger; name every row that is wrong and exit non-zero if there is one."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for finding in audit.findings():
            found += 1
            self.stdout.write(f"{finding.rule}: {finding.row}: {finding.detail}")
        if found:
            raise CommandError(f"{found} rows are wrong.")
        self.stdout.write("The ledger adds up.")
