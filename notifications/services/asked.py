"""A message as it is asked for: checked for form, not yet against what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from typing_extensions import override

from notifications.services import render
from notifications.types import Channel, Lane
from templates_app.models import TemplateVersion


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Whom a message is for. Addresses are in normal form; a device is named by its id."""

    user_id: str = ""
    addresses: Mapping[Channel, str] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """Who it is, as far as one can tell from what was given: the user, else an address."""
        given = (self.addresses[channel] for channel in Channel if channel in self.addresses)
        return self.user_id or next(given, "")


@dataclass(frozen=True, kw_only=True, repr=False)
class Terms:
    """What a message, or all messages of a batch, are asked for with: checked for form but not
    yet against what is stored.
    """

    template: str = ""
    version: TemplateVersion | None = None
    """A published one, in place of the one in use."""
    content: Mapping[str, str] | None = None
    parts: render.Content | None = None
    """As they go out: the data are in them."""
    data: Mapping[str, Any] | None = None
    channels: Sequence[Channel] = ()
    locale: str = ""
    category: str = ""
    priority: Lane = Lane.NORMAL
    send_at: datetime | None = None
    expires_at: datetime | None = None
    agent_id: str = ""
    reference: str = ""
    tags: Sequence[str] = ()
    reply_to: str = ""
    attachments: Sequence[Mapping[str, str]] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    actions: Sequence[Mapping[str, str]] = ()
    idempotency_key: str = ""

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.template or 'inline'}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Submission(Terms):
    """One message as asked for."""

    to: Target
    dry_run: bool = False
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """What is a message's own. `number` is its place in its batch, from 1."""

    to: Target
    data: Mapping[str, Any] | None = None
    reference: str = ""
    number: int | None = None
