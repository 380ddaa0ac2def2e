"""From a template version or inline content, and data, to the parts a provider sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from notifications.types import Channel
from templates_app import merge, rendering
from templates_app.errors import TemplateError
from templates_app.values import Admitted

Content = Mapping[str, Mapping[str, str]]
"""Channel to part name to source: `{"email": {"subject": ..., "html": ...}}`."""

_INLINE = {
    Channel.EMAIL: {"subject": "subject", "text": "text", "html": "html"},
    Channel.SMS: {"text": "text"},
    Channel.PUSH: {"title": "subject", "body": "text"},
    Channel.INAPP: {"title": "subject", "body": "text"},
}
"""The parts of each channel, and what they are called in a request."""


def inline(content: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`{subject, text, html}` of a request, as content by channel: what each channel can use."""
    found: dict[str, dict[str, str]] = {}
    for channel, names in _INLINE.items():
        parts = {part: content[name] for part, name in names.items() if content.get(name)}
        says_something = "text" in content or channel is Channel.EMAIL
        if says_something and is_complete(channel, parts):
            found[channel.value] = parts
    return found


def is_complete(channel: Channel, parts: Mapping[str, str]) -> bool:
    """Whether there is enough to send: a subject and a body for an email, a text for an SMS, a
    title or a body to be shown on a screen.
    """
    match channel:
        case Channel.EMAIL:
            return bool(parts.get("subject")) and bool(parts.get("text") or parts.get("html"))
        case Channel.SMS:
            return bool(parts.get("text", "").strip())  # who sends blanks is refused by vendors
    return bool(parts.get("title") or parts.get("body"))


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """What messages say on one channel before their own data is filled in: the parts, the key of
    their template, and the data that they `shared`, if any.

    One object for all messages of a version or a batch: its identity is its equality.
    """

    parts: Mapping[str, str]
    template: str = ""
    shared: Admitted | None = None

    @cached_property
    def form(self) -> merge.MergeForm | None:
        """The batch form, with what shared data decides settled; None where there is none."""
        try:
            return merge.merge_form(self.parts, self.shared)
        except TemplateError:  # literal content need not be a template
            return None

    def fits(self, own: Mapping[str, Any] | None) -> bool:
        """Whether a message with this data of its own can use the batch form."""
        if self.form is None or (own is None and self.shared is None):
            return False
        return self.form.settled.isdisjoint(own or ())

    def render(self, own: Mapping[str, Any] | None) -> dict[str, str]:
        """The parts of one message; without any data (None) they are literal text.

        Raises `templates_app.errors.TemplateError`.
        """
        if own is None and self.shared is None:
            return dict(self.parts)
        if self.shared and self.fits(own) and self.form:  # less is left to do for each
            return self.form.render(own or {}, self.shared)
        return rendering.render(self.parts, own or {}, self.shared)
