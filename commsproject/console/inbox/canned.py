"""Replies to begin with: templates of the kind `reply`, filled with what is known of the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib.auth.models import User

from commsproject.console.inbox import people
from conversations.models import Conversation
from notifications.models import Recipient
from templates_app import selectors
from templates_app.errors import TemplateError
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.rendering import render
from templates_app.types import Manner, NullIs

MOST = 200


def replies(user: User, conversation: Conversation) -> list[dict[str, str]]:
    """By name, in the person's language. What nobody knows of the person stands in brackets."""
    user_id = people.about(conversation)
    person = Recipient.objects.filter(user_id=user_id).first() or Recipient(user_id=user_id)
    data = {
        **person.data,
        "name": people.names([user_id])[user_id],
        "user_id": user_id,
        "staff": people.name_of(user),
    }
    rows = Template.objects.filter(kind=Kind.REPLY, archived_at=None).order_by("name")
    keys = list(rows.values_list("key", flat=True)[:MOST])
    versions = selectors.published(keys, kinds=(Kind.REPLY,))
    found = ((versions[key], _text(versions[key], data, person)) for key in keys if key in versions)
    return [
        {"key": version.template.key, "name": version.template.name, "text": text}
        for version, text in found
        if text
    ]


def _text(version: TemplateVersion, data: Mapping[str, Any], person: Recipient) -> str:
    """Empty where it has no words for a text message, or they cannot be printed with this data."""
    parts = selectors.parts(version, person.locale).get("sms", {})
    null_is = cast("NullIs", version.null_is)
    manner = Manner.of(version.locale, person.locale, person.time_zone, null_is)
    try:
        return render(parts, _filled(version.schema, data), manner=manner).get("text", "").strip()
    except TemplateError:
        return ""


def _filled(schema: Mapping[str, Any], data: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """The data, and for each word that is missing its name in brackets."""
    blanks = {
        name: _blank(one, data.get(name), f"{within}{name}")
        for name, one in schema.get("properties", {}).items()
        if name not in data or isinstance(data[name], Mapping)
    }
    return {**data, **blanks}


def _blank(schema: Mapping[str, Any], known: object, name: str) -> Any:
    kinds = schema.get("type", "string")
    match kinds if isinstance(kinds, str) else next(iter(kinds), "string"):
        case "object":
            return _filled(schema, known if isinstance(known, Mapping) else {}, f"{name}.")
        case "array":
            return []
        case "boolean":
            return False
        case "number" | "integer":
            return 0
    return f"[{name}]"
