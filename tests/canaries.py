"""What no line of any log may carry, whatever the tests do: what messages say, whom they go to, secrets.

The words are those of the suite's own messages, templates and addresses.
"""

from __future__ import annotations

import logging
import logging.config
import re
from copy import deepcopy

from django.conf import settings
from typing_extensions import override

_CANARY = re.compile(
    r"It works\.|Good to have you|canary-\w+"
    r"|[\w.+-]+@(?:simulator\.test|example\.(?:com|org|net))"
    r"|\+\d{9,15}\b"
    r"|\bcomm_[a-z]+_\w{16,}|\beyJ[\w-]{8,}\.[\w-]+\."
)


def found(text: str) -> list[str]:
    """The canaries in what a process printed."""
    return _CANARY.findall(text)


class Watch(logging.Handler):
    """Prints every line as the service's own handler does, and keeps those that tell too much."""

    def __init__(self) -> None:
        super().__init__()
        config = logging.config.DictConfigurator(deepcopy(settings.LOGGING))
        self.setFormatter(config.configure_formatter(config.config["formatters"]["json"]))
        self.told: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if found(line):
            self.told.append(f"{record.name} at {record.pathname}:{record.lineno}: {line}")
