"""What the editor is given: the template as it is stored now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.urls import reverse

from templates_app import selectors, services
from templates_app.admin import content, standing, test_send
from templates_app.admin.cheat_sheet import FILTERS
from templates_app.admin.parts import BODIES, CHANNELS, Part
from templates_app.models import Kind, Template


def stored(template: Template) -> dict[str, Any]:
    """Content, and where it stands. `stamp` changes with everything that the editor can change."""
    latest = selectors.latest(template)
    there = standing.of(template)
    return {
        "stamp": services.stamp(template, latest),
        "content": asdict(content.of(template, latest)),
        "author": latest.created_by,
        "number": latest.number,
        "is_draft": latest.published_at is None,
        "in_use": there.in_use,
        "badge": {"text": there.text, "tone": there.tone.value},
    }


def opened(template: Template, *, may_change: bool) -> dict[str, Any]:
    """All that the page begins with."""
    shared = Template.objects.filter(archived_at__isnull=True).exclude(id=template.id)
    return {
        **stored(template),
        "id": str(template.id),
        "kind": template.kind,
        "sender": parseaddr(settings.DEFAULT_FROM_EMAIL)[0] or settings.DEFAULT_FROM_EMAIL,
        "may_change": may_change,
        "channels": [
            {"name": name, "label": label, "parts": _parts(parts, template.kind)}
            for name, (label, parts) in CHANNELS.items()
        ],
        "layouts": list(shared.filter(kind=Kind.LAYOUT).values_list("key", flat=True)),
        "partials": list(shared.filter(kind=Kind.PARTIAL).values_list("key", flat=True)),
        "filters": [{"name": name, "about": about} for name, about, _ in FILTERS],
        "urls": _addresses(template),
    }


def _parts(parts: Iterable[Part], kind: str) -> list[dict[str, Any]]:
    return [
        {**asdict(part), "language": part.language, "one_line": part.is_one_line}
        for part in parts
        if kind != Kind.LAYOUT or part.name in BODIES
    ]


def _addresses(template: Template) -> dict[str, str]:
    names = ["draft", "publish", "import", "preview", "pictures"]
    if template.kind == Kind.MESSAGE and test_send.is_there():
        names.append("test")
    found = {
        name: reverse(f"admin:templates_app_template_{name}", args=[template.pk]) for name in names
    }
    return {**found, "login": reverse("admin:login")}
