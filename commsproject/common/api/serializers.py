"""Serializers that refuse what they do not know."""

from __future__ import annotations

from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer for input: an unknown field is an error that names it, never ignored."""

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
        return super().to_internal_value(data)


_S = TypeVar("_S", bound=serializers.BaseSerializer[Any])


def validated(serializer_class: type[_S], request: Request, **kwargs: Any) -> Any:
    """The validated body of `request`; raises DRF's ValidationError with each field's path."""
    serializer = serializer_class(data=request.data, **kwargs)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
