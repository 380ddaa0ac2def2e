"""What the trail may know of a row: numbers, times, choices and ids as they are, all words as hashes.

A hash is keyed, so that it says only whether two values were the same. Fields whose words are never
about a person are told as they are once an app has said so by `tell`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

Snapshot = Mapping[str, Any]
"""JSON values by the names of fields."""

LONGEST = 200
"""Characters of a value that is told as it is."""

_HARMLESS = (
    models.BooleanField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,
    models.TimeField,
    models.UUIDField,
)

_told: dict[str, frozenset[str]] = {}


def tell(fields: Mapping[str, Collection[str]]) -> None:
    """By model (`notifications.batch`), the fields whose words are told as they are."""
    _told.update({model: frozenset(names) for model, names in fields.items()})


def hashed(value: str) -> str:
    """A keyed hash, short enough to be compared by eye."""
    key = f"audit:{settings.ADDRESS_HASH_KEY}".encode()
    return "#" + hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:16]


def take(model: type[models.Model], keys: Iterable[Any]) -> dict[str, Snapshot]:
    """Of the rows that exist, by their keys as text."""
    rows = model._base_manager.filter(pk__in=list(keys))  # noqa: SLF001 - documented API
    return {str(row.pk): of(row) for row in rows}


def of(row: models.Model) -> Snapshot:
    options = row._meta  # noqa: SLF001 - documented API
    found = {one.name: _shown(one, row) for one in options.concrete_fields if not one.generated}
    for many in options.many_to_many:
        found[many.name] = sorted(map(str, getattr(row, many.name).values_list("pk", flat=True)))
    return found


def difference(before: Snapshot, after: Snapshot) -> dict[str, list[Any]]:
    """What changed, as pairs; null stands for a row that was not, or is no more."""
    names = dict.fromkeys([*before, *after])
    return {
        name: [before.get(name), after.get(name)]
        for name in names
        if before.get(name) != after.get(name)
    }


def key_of(row: models.Model) -> str:
    """What names the row in the trail."""
    key = row._meta.pk  # noqa: SLF001 - documented API
    return str(_shown(key, row))


def _shown(field: Any, row: models.Model) -> Any:
    value = getattr(row, field.attname)
    if value is None or value == "":
        return value
    if isinstance(field, models.BinaryField):
        return hashed(repr(bytes(value)))
    plain = json.loads(json.dumps(value, cls=DjangoJSONEncoder, default=str, sort_keys=True))
    text = plain if isinstance(plain, str) else json.dumps(plain)
    if _may_tell(field, row) and len(text) <= LONGEST:
        return plain
    return hashed(text)


def _may_tell(field: Any, row: models.Model) -> bool:
    kind = field.target_field if field.is_relation else field
    if isinstance(kind, _HARMLESS) or field.choices:
        return True
    return field.name in _told.get(row._meta.label_lower, ())  # noqa: SLF001 - documented API
