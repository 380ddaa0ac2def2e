"""Where a template stands: what is in use, whether there is a draft."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString

from commsproject.common.admin import Tone, badge
from templates_app.models import Template, TemplateVersion


@dataclass(frozen=True)
class Standing:
    text: str
    tone: Tone
    in_use: int | None
    draft: int | None

    @property
    def badge(self) -> SafeString:
        return badge(self.text, self.tone)


def of(template: Template) -> Standing:
    """Reads all its versions: their numbers and dates."""
    versions = list(template.versions.all())
    in_use = max((v.number for v in versions if v.published_at), default=None)
    draft = next((v.number for v in versions if v.published_at is None), None)
    if template.archived_at is not None:
        return Standing("Archived", Tone.QUIET, in_use, draft)
    if in_use is None:
        return Standing("Draft only", Tone.WARN, in_use, draft)
    if draft is None:
        return Standing(f"v{in_use} in use", Tone.GOOD, in_use, draft)
    return Standing(f"v{in_use} in use, v{draft} drafted", Tone.BUSY, in_use, draft)


def of_version(version: TemplateVersion, in_use: int | None) -> SafeString:
    if version.published_at is None:
        return badge("Draft", Tone.WARN)
    return badge("In use", Tone.GOOD) if version.number == in_use else badge("Replaced")
