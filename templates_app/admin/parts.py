"""What the parts of each channel are called on the staff pages, in the order of the editor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from templates_app.compile import ONE_LINE

BODIES = ("html", "mjml", "text")
"""The parts a layout may have."""


@dataclass(frozen=True)
class Part:
    name: str
    label: str
    hint: str = ""
    is_needed: bool = False

    @property
    def language(self) -> str:
        return self.name if self.name in ("html", "mjml") else "text"

    @property
    def is_one_line(self) -> bool:
        return self.name in ONE_LINE


CHANNELS: Mapping[str, tuple[str, tuple[Part, ...]]] = {
    "email": (
        "Email",
        (
            Part("subject", "Subject", is_needed=True),
            Part("preheader", "Preheader", "The line that mail clients show beside the subject."),
            Part("mjml", "Body"),
            Part("html", "Body"),
            Part("text", "Plain text", "Without one it is made from the body."),
        ),
    ),
    "sms": ("SMS", (Part("text", "Text", is_needed=True),)),
    "push": (
        "Push",
        (
            Part("title", "Title", is_needed=True),
            Part("body", "Body"),
            Part("link", "Link", "What a tap opens."),
            Part("image", "Image", "The address of a picture."),
            Part("badge", "Badge", "The number at the app's icon."),
            Part("collapse_id", "Collapse ID", "A newer message with the same one replaces it."),
        ),
    ),
    "inapp": (
        "In-app",
        (
            Part("title", "Title", is_needed=True),
            Part("body", "Body"),
            Part("link", "Link", "What a click opens."),
            Part("image", "Image", "The address of a picture."),
        ),
    ),
}
"""Channel to its name and its parts. An email has one of `mjml` and `html`."""


def label(channel: str, part: str = "") -> str:
    """What people call a channel, or a part of it."""
    if channel not in CHANNELS:
        return part.capitalize() or channel
    name, parts = CHANNELS[channel]
    known = next((each.label for each in parts if each.name == part), part)
    return f"{name}: {known.lower()}" if part else name
