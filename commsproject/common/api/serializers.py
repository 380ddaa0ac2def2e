"""Serializers that refuse what they do not know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request
from typing_extensions import override

_Check = Callable[[Any], Any]

MOST_TOLD = 20
"""Unknown fields that an error names."""


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    @cached_property
    def _known(self) -> dict[str, tuple[serializers.Field[Any, Any, Any, Any], _Check | None]]:
        """Each field with the serializer's own check of it."""
        return {
            name: (field, getattr(self, f"validate_{name}", None))
            for name, field in self.fields.items()
        }

    @override
    def to_internal_value(self, data: Any) -> Any:
        """As REST framework does, but that it costs what is given, not what could be."""
        if not isinstance(data, dict):
            return super().to_internal_value(data)
        if unknown := sorted(data.keys() - self._known.keys())[:MOST_TOLD]:
            known = ", ".join(self._known)
            raise serializers.ValidationError(
                {
                    str(name): serializers.ErrorDetail(
                        f"Unknown field. Known here: {known}.", code="unknown_field"
                    )
                    for name in unknown
                }
            )
        if wrong := self._wrong_types(data):
            raise serializers.ValidationError(wrong)
        found, errors = {}, {}
        for name, (field, check) in self._known.items():
            if name not in data and not field.required and field.default is empty:
                continue
            try:
                given = data.get(name, empty)
                _check_length(field, given)
                value = field.run_validation(given)
                found[name] = check(value) if check else value
            except serializers.ValidationError as error:
                errors[name] = error.detail
            except SkipField:
                pass
        if errors:
            raise serializers.ValidationError(errors)
        return found

    def _wrong_types(self, data: dict[Any, Any]) -> dict[str, serializers.ErrorDetail]:
        """DRF itself turns 5 into "5" and "no" into False."""
        found = {}
        for name, value in data.items():
            field, _ = self._known[name]
            if isinstance(field, serializers.CharField) and not isinstance(value, str | None):
                found[name] = serializers.ErrorDetail("Not a text.", code="not_a_text")
            if isinstance(field, serializers.BooleanField) and not isinstance(value, bool | None):
                found[name] = serializers.ErrorDetail("Not true or false.", code="not_a_boolean")
        return found

    @override
    def run_validators(self, value: Any) -> None:
        if self.validators:
            super().run_validators(value)


def _check_length(field: serializers.Field[Any, Any, Any, Any], given: Any) -> None:
    """Before what is in a list is looked at: REST framework does it afterwards, and 64 KB of empty
    lists keep it busy for a third of a second (measured).
    """
    most = field.max_length if isinstance(field, serializers.ListField) else None
    if most is not None and isinstance(given, list) and len(given) > most:
        message = field.error_messages["max_length"].format(max_length=most)
        raise serializers.ValidationError([message], code="max_length")


class Text(serializers.CharField):
    """A text inside a list or mapping, where the serializer does not see it."""

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Not a text.", code="not_a_text")
        return super().to_internal_value(data)


class JsonObject(serializers.DictField):
    """A mapping whose values are the caller's own. None is looked at: REST framework would ask each
    of them what it asks a field.
    """

    @override
    def run_child_validation(self, data: Any) -> Any:
        return data


class Moment(serializers.DateTimeField):
    """An ISO 8601 time with its zone: read in ours, a time without one would be hours off."""

    @override
    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            raise serializers.ValidationError(
                "A time with its zone, please: 2026-12-01T09:00:00+01:00, or Z at the end.",
                code="no_zone",
            )
        return super().enforce_timezone(value)


_S = TypeVar("_S", bound=serializers.BaseSerializer[Any])


def validated(serializer_class: type[_S], request: Request, **kwargs: Any) -> Any:
    """The validated body of `request`; raises DRF's ValidationError with each field's path."""
    serializer = serializer_class(data=request.data, **kwargs)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
