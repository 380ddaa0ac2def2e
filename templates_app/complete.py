"""What a message cannot be sent without, on each channel and in each language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from commsproject.common.errors import FieldError
from templates_app.locales import Channels
from templates_app.models import WHOLE, TemplateVersion

_BODIES = ("text", "html", "mjml")


def lacking(version: TemplateVersion) -> list[FieldError]:
    """Each part that is missing or blank, with its place: `translations.de.email.subject`."""
    written = {"channels": version.channels} | {
        f"translations.{locale}": channels for locale, channels in version.translations.items()
    }
    kind = version.template.kind
    return [error for where, channels in written.items() for error in _of(kind, channels, where)]


def _of(kind: str, channels: Channels, where: str) -> Iterator[FieldError]:
    for channel, parts in channels.items():
        for part, message in _missing(kind, channel, parts):
            yield FieldError(f"{where}.{channel}.{part}", "required", message)


def _missing(kind: str, channel: str, parts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    has = {part for part, source in parts.items() if source.strip()}
    if kind not in WHOLE:
        if not parts:
            yield "text", "Write at least one part."
    elif channel == "email":
        if "subject" not in has:
            yield "subject", "An email needs a subject."
        if has.isdisjoint(_BODIES):
            yield "text", "An email needs a text, html or mjml."
    elif channel == "sms":
        if "text" not in has:
            yield "text", "An SMS needs a text."
    elif has.isdisjoint(("title", "body")):
        yield "body", "A title or a body is needed."
