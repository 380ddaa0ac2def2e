"""The live preview: what is being written, as its reader would get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commsproject.common.admin import sandbox
from commsproject.common.errors import FieldError, InvalidInput
from templates_app import preview
from templates_app.admin import content
from templates_app.build import Notice
from templates_app.errors import SourceError
from templates_app.models import TemplateVersion
from templates_app.preview import Shown


def shown(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the editor asked to see: `content` with one reader's `data` and `locale`. Raises InvalidInput."""
    version, data, locale = _asked(kind, asked)
    found = preview.preview(version, data, locale=locale)
    return {
        "channels": {name: _channel(one) for name, one in found.channels.items()},
        "warnings": [_notice(notice) for notice in found.warnings],
        "errors": [_error(error) for error in found.errors],
        "schema": found.schema,
    }


def page(kind: str, asked: Mapping[str, Any]) -> str:
    """The email's HTML alone. Raises InvalidInput."""
    version, data, locale = _asked(kind, asked)
    email = preview.preview(version, data, locale=locale, channel="email").channels.get("email")
    return email.parts.get("html", "") if email else ""


def _asked(kind: str, asked: Mapping[str, Any]) -> tuple[TemplateVersion, dict[str, Any], str]:
    data, locale = asked.get("data"), asked.get("locale")
    if not isinstance(data, dict) or not isinstance(locale, str):
        raise InvalidInput.of("data", "invalid", "A preview needs data and a locale.")
    return content.read(asked.get("content")).version(kind), data, locale


def _channel(found: Shown) -> dict[str, Any]:
    parts = dict(found.parts)
    if found.channel == "email":
        parts["preheader"] = found.preheader
        parts["page"] = sandbox.document(parts.pop("html", ""))
    return {"locale": found.locale, "parts": parts, "facts": found.facts}


def _error(error: FieldError) -> dict[str, Any]:
    """`locale`, `channel` and `part` are empty where it is of none."""
    found: dict[str, Any] = {"message": error.message, "code": error.code, "field": error.field}
    if isinstance(error, SourceError):
        found |= {
            "locale": error.locale,
            "channel": error.channel,
            "part": error.part,
            "line": error.line,
            "column": error.column,
        }
    return found


def _notice(notice: Notice) -> dict[str, Any]:
    kind, *rest = notice.field.split(".")
    locale = rest.pop(0) if kind == "translations" else ""
    channel, part = [*rest, "", ""][:2]
    return {
        "message": notice.message,
        "locale": locale,
        "channel": channel,
        "part": part,
    }
