"""What a version asks of the data of its messages, before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from templates_app import hosted, schema, selectors, variables
from templates_app.models import TemplateVersion
from templates_app.schema import Problem, Schema
from templates_app.types import NullIs

_REMARKS = frozenset({"$schema", "title", "description", "examples", "default"})


@lru_cache(maxsize=256)
def strict(version: TemplateVersion) -> Schema | None:
    """The schema of a published version where people ask for more than a render needs: only then
    data that render can be wrong, and checking them costs as much as rendering.
    """
    asked: Schema = version.schema
    return asked if asked and _rules(asked) != _rules(found(version)) else None


def found(version: TemplateVersion) -> dict[str, Any]:
    """The schema of a published version as its uses tell it, before people have described it."""
    contents = [
        list(parts.items())
        for channels in version.built.values()
        for parts in channels.values()
        if parts
    ]
    contents += [hosted.sources(one) for one in version.hosted.values()]
    return variables.infer_any(contents, cast("NullIs", version.null_is))


def problems(
    version: TemplateVersion, texts: Iterable[tuple[str, str]], data: Mapping[str, Any]
) -> list[Problem]:
    """Everything that is wrong with the data of a message that has these `(channel, tag)`s."""
    found = {one.path: one for one in schema.validate(version.schema, data)}
    for channel, tag in texts:
        for one in schema.validate(_of_text(version, channel, tag), data):
            found.setdefault(one.path, one)
    return list(found.values())


@lru_cache(maxsize=512)
def _of_text(version: TemplateVersion, channel: str, tag: str) -> Schema:
    """What one channel in one language needs: the version as a whole asks only what all of them do."""
    parts = selectors.text(version, channel, tag).items()
    return variables.infer(parts, cast("NullIs", version.null_is))


def _rules(asked: Schema) -> dict[str, Any]:
    """Without what is only said about it."""
    rules = {name: value for name, value in asked.items() if name not in _REMARKS}
    if "properties" in rules:
        rules["properties"] = {name: _rules(one) for name, one in rules["properties"].items()}
    if "items" in rules:
        rules["items"] = _rules(rules["items"])
    return rules
