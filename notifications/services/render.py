"""From a template version or inline content, and data, to the parts a provider sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications.types import Channel
from templates_app import rendering
from templates_app.values import Admitted

Content = Mapping[str, Mapping[str, str]]
"""Channel to part name to source: `{"email": {"subject": ..., "html": ...}}`."""

_INLINE = {Channel.EMAIL: ("subject", "text", "html"), Channel.SMS: ("text",)}


def inline(content: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`{subject, text, html}` of a request, as content by channel: what each channel can use."""
    found: dict[str, dict[str, str]] = {}
    for channel, names in _INLINE.items():
        parts = {name: content[name] for name in names if content.get(name)}
        if is_complete(channel, parts):
            found[channel.value] = parts
    return found


def is_complete(channel: Channel, parts: Mapping[str, str]) -> bool:
    """Whether there is enough to send: a subject and a body for an email, a text for an SMS."""
    if channel is Channel.EMAIL:
        return bool(parts.get("subject")) and bool(parts.get("text") or parts.get("html"))
    return bool(parts.get("text"))


def render(
    parts: Mapping[str, str], data: Mapping[str, Any] | None, shared: Admitted | None = None
) -> dict[str, str]:
    """The parts with `data` filled in, over what many messages share; without data (None) they are
    literal text.

    Raises `templates_app.errors.TemplateError`.
    """
    return dict(parts) if data is None else rendering.render(parts, data, shared)
