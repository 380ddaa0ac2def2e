"""The editor's button that sends what is written. Who can send is above this app, and registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from commsproject.common.errors import InvalidInput
from templates_app import selectors
from templates_app.models import Template, TemplateVersion


@dataclass(frozen=True)
class Wanted:
    """`to` is what somebody typed: an address of the channel, or a person's user id."""

    version: TemplateVersion
    channel: str
    to: str
    data: Mapping[str, Any]
    locale: str


class Sender(Protocol):
    def __call__(self, wanted: Wanted) -> str:
        """Have it sent, and say so in a sentence. Raises CommsError."""
        ...


_senders: list[Sender] = []


def register(sender: Sender) -> None:
    _senders[:] = [sender]


def is_there() -> bool:
    return bool(_senders)


def send(template: Template, asked: Mapping[str, Any]) -> str:
    """What is stored, draft or published, to one address. Raises CommsError."""
    channel, to, data, locale = (asked.get(name) for name in ("channel", "to", "data", "locale"))
    if not isinstance(channel, str) or not isinstance(data, dict) or not isinstance(locale, str):
        raise InvalidInput.of("channel", "invalid", "A test needs a channel, data and a locale.")
    if not isinstance(to, str) or not to.strip():
        raise InvalidInput.of("to", "required", "Say whom.")
    version = selectors.latest(template)
    version.template = template
    return _senders[0](Wanted(version, channel, to.strip(), data, locale))
