"""Events in tests: each that the service tells of is held against its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jsonschema
import orjson

from commsproject.common.ids import new_id
from commsproject.common.outbox import Event, Item, catalogue

ENOUGH = 20
"""Of items that are told together: the rest were made by the same line."""


@cache
def _validator(kind: str) -> Any:
    checker = jsonschema.FormatChecker(["uuid"])
    return jsonschema.Draft202012Validator(catalogue.KINDS[kind].schema(), format_checker=checker)


def check(kind: str, data: Item) -> None:
    """Raises `jsonschema.ValidationError`, and `KeyError` for a type that is not in the catalogue."""
    _validator(kind).validate(orjson.loads(orjson.dumps(data)))


def checked(emit: Callable[[str, Sequence[Item]], None]) -> Callable[[str, Sequence[Item]], None]:
    def checking(kind: str, items: Sequence[Item]) -> None:
        for item in items[:ENOUGH]:
            check(kind, item)
        emit(kind, items)

    return checking


def checked_rows(read: Callable[[Any], list[Event]]) -> Callable[[Any], list[Event]]:
    """For those that PostgreSQL gathers: looked at on their way out."""

    def checking(rows: Any) -> list[Event]:
        events = read(rows)
        for event in events[:ENOUGH]:
            check(event.type, event.data)
        return events

    return checking


def alert(key: str, **more: Any) -> dict[str, Any]:
    """The data of an `alert.raised` about nothing."""
    return {
        "alert_id": new_id(),
        "key": key,
        "severity": "warning",
        "title": "Made up",
        "timestamp": "2026-11-22T09:00:00+00:00",
        **more,
    }
