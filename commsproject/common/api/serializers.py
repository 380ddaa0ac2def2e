"""Serializers that refuse what they do not know."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    @override
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {
                    str(name): serializers.ErrorDetail(
                        f"Unknown field. Known here: {known}.", code="unknown_field"
                    )
                    for name in unknown
                }
            )
        if isinstance(data, dict) and (wrong := self._wrong_types(data)):
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)

    def _wrong_types(self, data: dict[Any, Any]) -> dict[str, serializers.ErrorDetail]:
        """DRF itself turns 5 into "5" and "no" into False."""
        found = {}
        for name, field in self.fields.items():
            value = data.get(name)
            if isinstance(field, serializers.CharField) and not isinstance(value, str | None):
                found[name] = serializers.ErrorDetail("Not a text.", code="not_a_text")
            if isinstance(field, serializers.BooleanField) and not isinstance(value, bool | None):
                found[name] = serializers.ErrorDetail("Not true or false.", code="not_a_boolean")
        return found


class Text(serializers.CharField):
    """A text inside a list or mapping, where the serializer does not see it."""

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Not a text.", code="not_a_text")
        return super().to_internal_value(data)


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
