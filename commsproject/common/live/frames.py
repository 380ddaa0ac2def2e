"""What a frame of the socket is: a JSON object with a `type`, described once by a JSON Schema.

The same description validates what clients send, checks in tests what we send, and is published as
AsyncAPI. A client frame may carry `id`, a word of the client's own: its `ack` or `error` repeats it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from typing_extensions import override

from commsproject.common.errors import FieldError, InvalidInput

Schema = Mapping[str, Any]

MAX_FRAME = 64 * 1024
"""Bytes of one frame, either way."""

REF: Schema = {"type": "string", "minLength": 1, "maxLength": 64}
SEQ: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
MOMENT: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
USER_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 255}

_formats = FormatChecker(["uuid"])


def _is_moment(value: object) -> bool:
    """RFC 3339: with an offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_formats.checks("date-time", raises=ValueError)(_is_moment)


@dataclass(frozen=True)
class Frame:
    """One type of frame. `example` is a whole frame; a test sends or receives it.

    `properties` are those beside `type` (and, in a client's, `id`); all but `optional` are required.
    """

    type: str
    summary: str
    properties: Mapping[str, Schema]
    example: Mapping[str, Any]
    optional: Collection[str] = ()
    is_open: bool = False
    """Whether there may be more properties."""

    @cached_property
    def schema(self) -> dict[str, Any]:
        required = [name for name in self.properties if name not in self.optional]
        return {
            "type": "object",
            "properties": {"type": {"const": self.type}, **self.properties},
            "required": ["type", *required],
            "additionalProperties": self.is_open,
        }

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.schema, format_checker=_formats)

    def check(self, frame: Mapping[str, Any]) -> None:
        """Raises InvalidInput, which names the field."""
        error: ValidationError | None = best_match(self._validator.iter_errors(frame))
        if error is not None:
            field = ".".join(str(part) for part in error.absolute_path)
            # The schema's words only: jsonschema's message repeats what was sent.
            expected = f"{error.validator} {error.validator_value!r}"[:200]
            message = f"{field or 'The frame'} does not satisfy: {expected}."
            raise InvalidInput(message, errors=[FieldError(field, str(error.validator), message)])


class ClientFrame(Frame):
    """What a client may send."""

    @cached_property
    @override
    def schema(self) -> dict[str, Any]:
        schema = super().schema
        return {**schema, "properties": {**schema["properties"], "id": REF}}


class ServerFrame(Frame):
    """What we send."""
