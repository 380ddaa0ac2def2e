"""What the editor sends: the whole of a draft, checked for its shape. What it says is checked when it is built."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from commsproject.common.errors import FieldError, InvalidInput
from templates_app import locales, schema
from templates_app.admin.parts import CHANNELS
from templates_app.errors import InvalidSchema
from templates_app.models import Kind, Template, TemplateVersion

MAX_BODY = 2_000_000
"""Bytes of one request."""
MAX_KEY = 100
"""Characters of a template's key."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Content:
    """All of a template that its editor changes."""

    name: str
    null_is: str
    locale: str
    layout: str
    channels: dict[str, dict[str, str]]
    translations: dict[str, dict[str, dict[str, str]]]
    samples: list[dict[str, Any]]
    schema: dict[str, Any]
    hosted: dict[str, Any]

    def version(self, kind: str) -> TemplateVersion:
        """As a version that is not saved."""
        return TemplateVersion(
            template=Template(kind=Kind(kind)),
            null_is=self.null_is,
            channels=self.channels,
            translations=self.translations,
            locale=self.locale,
            layout=self.layout,
            schema=self.schema,
            hosted=self.hosted,
        )


def of(template: Template, version: TemplateVersion) -> Content:
    return Content(
        name=template.name,
        null_is=version.null_is,
        locale=version.locale,
        layout=version.layout,
        channels=version.channels,
        translations=version.translations,
        samples=template.samples,
        schema=version.schema,
        hosted=version.hosted,
    )


def body(raw: bytes) -> dict[str, Any]:
    """The object of a request. Raises InvalidInput."""
    try:
        found = json.loads(raw) if len(raw) <= MAX_BODY else None
        is_right = isinstance(found, dict) and _can_be_stored(found)
    except (ValueError, RecursionError):
        is_right = False
    if not is_right:
        message = "The request has to be a JSON object without NUL characters and endless numbers."
        raise InvalidInput.of("body", "invalid", message)
    return cast("dict[str, Any]", found)


def _can_be_stored(value: object) -> bool:
    """PostgreSQL takes no NUL, no half of a surrogate pair, nothing that is not a number."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_can_be_stored(name) and _can_be_stored(each) for name, each in value.items())
    return not isinstance(value, list) or all(map(_can_be_stored, value))


def read(given: object) -> Content:
    """Raises InvalidInput with everything that is wrong with the shape."""
    if not isinstance(given, dict) or given.keys() != {each.name for each in fields(Content)}:
        raise InvalidInput.of("content", "invalid", "The content is not complete.")
    if errors := list(_errors(given)):
        raise InvalidInput(errors[0].message, errors=errors)
    return Content(
        **{
            **given,
            "name": given["name"].strip(),
            "channels": _written(given["channels"]),
            "translations": {
                locale: channels
                for locale, theirs in given["translations"].items()
                if (channels := _written(theirs))
            },
        }
    )


def _written(channels: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Without what is empty, with the line ends of the API."""
    found = {
        channel: {
            part: source.replace("\r\n", "\n") for part, source in parts.items() if source.strip()
        }
        for channel, parts in channels.items()
    }
    return {channel: parts for channel, parts in found.items() if parts}


def _errors(given: Mapping[str, Any]) -> Iterator[FieldError]:
    name, null_is, locale = given["name"], given["null_is"], given["locale"]
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
        yield FieldError("name", "invalid", "The name has 1 to 200 characters.")
    if null_is not in TemplateVersion.NullIs.values:
        yield FieldError("null_is", "invalid", "Null prints nothing or is an error.")
    if locale != "" and not _is_locale(locale):
        yield FieldError("locale", "invalid", "The language is a tag such as en or pt-BR.")
    if not isinstance(given["layout"], str) or len(given["layout"]) > MAX_KEY:
        yield FieldError("layout", "invalid", "The layout is the key of one.")
    yield from _channel_errors(given["channels"], "channels")
    translations = given["translations"]
    if not isinstance(translations, dict) or not all(map(_is_locale, translations)):
        yield FieldError("translations", "invalid", "Each translation has a tag such as pt-BR.")
    else:
        for tag, channels in translations.items():
            yield from _channel_errors(channels, f"translations.{tag}")
    samples = given["samples"]
    if not isinstance(samples, list) or not all(isinstance(each, dict) for each in samples):
        yield FieldError("samples", "invalid", "The samples are a list of objects.")
    yield from _schema_errors(given["schema"])
    hosted = given["hosted"]
    if not isinstance(hosted, dict) or not all(map(_is_hosted, hosted.values())):
        message = "Each provider's template has an id and variables, all of them texts."
        yield FieldError("hosted", "invalid", message)


def _is_locale(tag: object) -> bool:
    return isinstance(tag, str) and locales.is_tag(tag)


def _is_hosted(one: object) -> bool:
    if not isinstance(one, dict) or one.keys() != {"id", "variables"}:
        return False
    texts = one["variables"]
    return (
        isinstance(one["id"], str)
        and isinstance(texts, dict)
        and all(isinstance(each, str) for each in texts.values())
    )


def _channel_errors(channels: object, where: str) -> Iterator[FieldError]:
    if not isinstance(channels, dict):
        yield FieldError(where, "invalid", "The channels are an object.")
        return
    for channel, parts in channels.items():
        known = {part.name for part in CHANNELS[channel][1]} if channel in CHANNELS else set()
        is_right = known and isinstance(parts, dict) and parts.keys() <= known
        if not is_right or not all(isinstance(source, str) for source in parts.values()):
            yield FieldError(f"{where}.{channel}"[:200], "invalid", "There are no such parts.")


def _schema_errors(given: object) -> Iterator[FieldError]:
    try:
        schema.check(given)
    except InvalidSchema as error:
        yield FieldError("schema", "invalid", error.message)
