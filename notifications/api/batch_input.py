"""A batch as asked for: one JSON body, or rows in NDJSON or CSV and the rest in the query."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from typing_extensions import override

from commsproject.common.api import strict_json
from commsproject.common.api.problems import TooLarge
from commsproject.common.api.serializers import JsonObject, StrictSerializer
from commsproject.common.errors import InvalidInput
from notifications.api import rows
from notifications.api.input import NotificationInput
from notifications.services.bulk import BatchRequest, Canary, Upload
from notifications.types import Channel, Lane

_AS_JSON = frozenset({"data", "content", "canary", "metadata", "actions", "pace", "approval"})
_LISTS = frozenset({"channels", "tags"})
MAX_WAIT = 7 * 24 * 3600


class Number(serializers.FloatField):
    """DRF itself takes "5" and true for numbers."""

    @override
    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float):
            raise serializers.ValidationError("Not a number.", code="not_a_number")
        return super().to_internal_value(data)


class CanaryInput(StrictSerializer):
    percent = Number(
        min_value=0.001, max_value=99, help_text="Of the messages, drawn at random; at least one."
    )
    wait = Number(
        min_value=0, max_value=MAX_WAIT, help_text="Seconds, once each of them was tried."
    )
    max_failures = Number(
        min_value=0, max_value=100, help_text="Percent of them; with more the batch is halted."
    )


class BatchInput(NotificationInput):
    """`POST /batches`, but for the rows."""

    to = None  # type: ignore[assignment]  # DRF's way to leave a field of the parent out
    attachments = None  # type: ignore[assignment]
    dry_run = None  # type: ignore[assignment]
    priority = serializers.ChoiceField(Lane.choices, default=Lane.BULK)
    pace = Number(
        required=False,
        min_value=0.01,
        max_value=100_000,
        help_text="Messages a second, evened out over two.",
    )
    canary = CanaryInput(required=False)
    approval = serializers.BooleanField(
        default=False, help_text="Wait for `POST batches/{id}/approve`, or for staff."
    )


class TargetRow(serializers.Serializer[Any]):
    user_id = serializers.CharField(required=False)
    email = serializers.CharField(required=False)
    phone = serializers.CharField(required=False)


class RowInput(serializers.Serializer[Any]):
    """One row; checked by `rows`, described here."""

    to = TargetRow()
    data = JsonObject(required=False)  # type: ignore[assignment]  # a field
    reference = serializers.CharField(required=False)


class JsonBatchInput(BatchInput):
    """For the schema: rows are checked one by one, and never as a whole."""

    rows = RowInput(many=True)


def largest_upload() -> int:
    return settings.BATCH_UPLOAD_MAX_SIZE


class _StreamParser(BaseParser):
    """Leaves the body where it is."""

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = largest_upload()
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
            raise TooLarge(f"An upload may have at most {limit} bytes.")
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise ParseError("The upload must be in UTF-8.")
        return rows.Stream(stream, limit)


class NdjsonParser(_StreamParser):
    media_type = "application/x-ndjson"


class CsvParser(_StreamParser):
    media_type = "text/csv"


_LINES = {NdjsonParser.media_type: rows.ndjson, CsvParser.media_type: rows.comma_separated}


@dataclass(frozen=True)
class Asked:
    request: BatchRequest
    upload: Upload


def read(request: Request, idempotency_key: str) -> Asked:
    """Everything but the rows is checked. Raises `InvalidInput` and DRF's `ValidationError`."""
    body = request.data
    lines = _LINES.get((request.content_type or "").partition(";")[0].strip().lower())
    if lines:
        if not isinstance(body, rows.Stream):  # REST framework gives an empty body to no parser
            raise InvalidInput.of("rows", "required", "There are no rows.")
        upload: Upload = rows.Uploaded(body, lines)
        shared = _from_query(request.query_params)
    else:
        if not isinstance(body, dict):
            raise InvalidInput.of("", "invalid", "A batch is an object.")
        if named := sorted(request.query_params):
            raise InvalidInput.of(
                named[0][:64], "in_the_query", "With a JSON body, put it into the body."
            )
        shared = {name: value for name, value in body.items() if name != "rows"}
        upload = rows.Listed(_listed(body))
    serializer = BatchInput(data=shared)
    serializer.is_valid(raise_exception=True)
    return Asked(batch_request(serializer.validated_data, shared, idempotency_key), upload)


def _listed(body: Mapping[str, Any]) -> list[Any]:
    found = body.get("rows")
    if not isinstance(found, list) or not found:
        raise InvalidInput.of("rows", "required", "A list of at least one row, please.")
    return found


def _from_query(query: QueryDict) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in query.lists():
        if len(values) > 1:
            raise InvalidInput.of(name, "repeated", "Once, please; lists are separated by commas.")
        (text,) = values
        if name in _AS_JSON:
            try:
                found[name] = strict_json.loads(str(text).encode())
            except strict_json.BadJSON as bad:
                raise InvalidInput.of(name, "malformed", f"JSON, please. {bad}") from None
            except UnicodeEncodeError:
                raise InvalidInput.of(name, "malformed", "This is not UTF-8.") from None
        else:
            found[name] = str(text).split(",") if name in _LISTS else text
    return found


def batch_request(
    fields: Mapping[str, Any], shared: Mapping[str, Any], idempotency_key: str
) -> BatchRequest:
    """What `BatchInput` validated of `shared`."""
    known = {**fields, "channels": [Channel(name) for name in fields.get("channels", [])]}
    canonical = json.dumps(shared, sort_keys=True, separators=(",", ":")).encode()
    canary = known.pop("canary", None)
    return BatchRequest(
        **{**known, "priority": Lane(fields["priority"])},
        canary=Canary(**canary) if canary else None,
        parameters=hashlib.sha256(canonical).digest(),
        idempotency_key=idempotency_key,
    )
