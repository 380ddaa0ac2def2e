from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from commsproject.common.errors import CommsError
from notifications.mail_dns import Finding, Result
from notifications.services import domains


class Command(BaseCommand):
    help = (
        "Look at SPF, DKIM, DMARC and MX of a domain that mail is sent from, and say what to "
        "publish; non-zero if receivers would not believe it."
    )

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument(
            "--selector",
            action="append",
            default=[],
            help="Of a DKIM key; may be repeated. Unless given, those of the providers.",
        )
        parser.add_argument(
            "--return-path", default="", help="The domain in the envelope, if it is another."
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = domains.check(
                options["domain"],
                selectors=options["selector"],
                return_path=options["return_path"],
            )
        except CommsError as error:
            raise CommandError(error.detail) from None
        for finding in found:
            self._show(finding)
        failed = [finding.what for finding in found if finding.result is Result.FAIL]
        if failed:
            raise CommandError(f"Not believed: {', '.join(failed)}.")

    def _show(self, finding: Finding) -> None:
        self.stdout.write(f"{finding.result.value.upper():8}{finding.what}: {_line(finding.found)}")
        for label, text in (("publish", finding.publish), ("do", finding.advice)):
            if text:
                self.stdout.write(f"{'':8}{label}: {_line(text)}")


def _line(text: str) -> str:
    """What strangers publish, without what would make a terminal do something."""
    return "".join(character if character.isprintable() else " " for character in text)
