"""The suppression list: seen, added to, lifted from, imported and exported by agents."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.pages import page, page_of, shown_page
from commsproject.common.api.serializers import Moment, StrictSerializer, validated
from commsproject.common.api.spreadsheets import as_written, inert
from commsproject.common.api.streaming import download
from commsproject.common.bodies import bounded
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications import addresses
from notifications.api.batch_input import CsvParser, NdjsonParser, largest_upload
from notifications.api.imports import PeopleImportedOutput, run, uploaded
from notifications.api.input import Line
from notifications.models import Category, Suppression
from notifications.services import suppress
from notifications.types import Channel, SuppressionReason

COLUMNS = ("channel", "address", "address_hash", "scope", "reason", "source", "expires_at")
"""Of the export, which the import takes."""

PAGE = 2000

# --- Input ---------------------------------------------------------------------------------------


class SuppressionInput(StrictSerializer):
    """`POST /suppressions`, and a row of the import."""

    channel = serializers.ChoiceField([Channel.EMAIL, Channel.SMS])
    address = serializers.CharField(required=False, allow_blank=True, max_length=320)
    address_hash = serializers.RegexField(
        r"^[0-9a-f]{64}$",
        required=False,
        allow_blank=True,
        help_text="In place of an address that was erased: as this service exported it.",
    )
    scope = serializers.CharField(
        default=Suppression.ALL, max_length=64, help_text="A category's key; `*`: every message."
    )
    reason = serializers.ChoiceField(
        SuppressionReason.choices, default=SuppressionReason.MANUAL.value
    )
    source = Line(  # type: ignore[assignment]  # a field, as DRF has it
        max_length=100, required=False, allow_blank=True, help_text="Else your name."
    )
    expires_at = Moment(required=False, allow_null=True, help_text="Null: until it is lifted.")

    def validate_scope(self, value: str) -> str:
        known = value == Suppression.ALL or Category.objects.filter(key=value).exists()
        if not known:
            raise serializers.ValidationError("There is no such category.", "unknown_category")
        return value

    @override
    def validate(self, attrs: Any) -> Suppression:
        channel, address = Channel(attrs["channel"]), attrs.get("address", "")
        digest = attrs.get("address_hash", "")
        if not (address or digest):
            message = serializers.ErrorDetail("Give an address.", code="required")
            raise serializers.ValidationError({"address": message})
        if address:
            try:
                address = addresses.normalise(channel, address)
            except addresses.BadAddress as error:
                message = serializers.ErrorDetail(str(error), code="bad_address")
                raise serializers.ValidationError({"address": message}) from None
            digest = addresses.digest(channel, address)
        return Suppression(
            channel=channel.value,
            address=address,
            address_hash=digest,
            scope=attrs["scope"],
            reason=attrs["reason"],
            source=attrs.get("source", ""),
            expires_at=attrs.get("expires_at"),
        )


# --- Output --------------------------------------------------------------------------------------


class SuppressionOutput(serializers.ModelSerializer[Suppression]):
    """An address that is not written to."""

    channel = serializers.ChoiceField(Channel.choices)
    reason = serializers.ChoiceField(SuppressionReason.choices)

    class Meta:
        model = Suppression
        fields = ["id", *COLUMNS, "delivery_id", "created_at"]


_ENTRY = {
    "id": "019a0000-0000-7000-8000-000000000021",
    "channel": "email",
    "address": "ada@example.com",
    "address_hash": "5f2b" * 16,
    "scope": "*",
    "reason": "bounce",
    "source": "ses",
    "expires_at": None,
    "delivery_id": "019a0000-0000-7000-8000-000000000002",
    "created_at": "2026-11-22T09:00:00Z",
}
_ADDED = {"channel": "email", "address": "ada@example.com", "scope": "news"}

_FILTERS = [
    OpenApiParameter("channel", str, enum=Channel.values),
    OpenApiParameter("reason", str, enum=SuppressionReason.values),
    OpenApiParameter("scope", str, description="A category's key; `*`: those of every message."),
    OpenApiParameter("address", str, description="Exactly; also one that was erased."),
]
_CHOICES = {"channel": Channel.values, "reason": SuppressionReason.values}


def _filtered(request: Request) -> QuerySet[Suppression]:
    """Raises `InvalidInput`."""
    rows = Suppression.objects.order_by("-id")
    for name in ("channel", "reason", "scope"):
        if value := request.query_params.get(name):
            if value not in _CHOICES.get(name, [value]):
                known = ", ".join(_CHOICES[name])
                raise InvalidInput.of(name, "invalid_choice", f"One of {known}.")
            rows = rows.filter(**{name: value.replace("\0", "")})
    if address := request.query_params.get("address"):
        rows = rows.filter(_at(address))
    return rows


def _at(address: str) -> Q:
    """Entries of an address, on every channel that it could be one of. Raises `InvalidInput`."""
    found = Q(pk__in=[])
    for channel in (Channel.EMAIL, Channel.SMS):
        try:
            normal = addresses.normalise(channel, address)
        except addresses.BadAddress:
            continue
        found |= Q(channel=channel, address_hash=addresses.digest(channel, normal))
    if found == Q(pk__in=[]):
        raise InvalidInput.of("address", "bad_address", "An email address or a phone number.")
    return found


class Suppressions(APIView):
    """Who is not written to."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="suppressions_list",
        summary="List suppressed addresses, newest first",
        parameters=[
            *_FILTERS,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(SuppressionOutput),
        examples=[OpenApiExample("An entry", value=shown_page(_ENTRY), response_only=True)],
    )
    def get(self, request: Request) -> Response:
        return page(_filtered(request), SuppressionOutput, request)

    @extend_schema(
        operation_id="suppressions_add",
        summary="Put an address on the list",
        description="201 where it is new, 200 where it was there for this reason: then it holds "
        "until the `expires_at` of this request.",
        request=SuppressionInput,
        responses={201: SuppressionOutput, 200: SuppressionOutput},
        examples=[
            OpenApiExample("No news to this address", value=_ADDED, request_only=True),
            OpenApiExample("The entry", value=_ENTRY, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        row: Suppression = validated(SuppressionInput, request)
        row.source = row.source or agent(request).client.name
        is_new = suppress.add_all([row])
        suppress.settle([(row.channel, [row.address_hash])])
        entry = Suppression.objects.get(
            channel=row.channel,
            address_hash=row.address_hash,
            scope=row.scope,
            reason=row.reason,
        )
        status = http.HTTP_201_CREATED if is_new else http.HTTP_200_OK
        return Response(SuppressionOutput(entry).data, status=status)


class SuppressionById(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "DELETE": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(operation_id="suppressions_get", summary="An entry", responses=SuppressionOutput)
    def get(self, request: Request, suppression_id: UUID) -> Response:
        entry = Suppression.objects.filter(id=suppression_id).first()
        if entry is None:
            raise NotFound("There is no entry with this id; it may have been lifted.")
        return Response(SuppressionOutput(entry).data)

    @extend_schema(
        operation_id="suppressions_lift",
        summary="Lift an entry: the address is written to again",
        description="Who lifted it, when and why stays on record.",
        parameters=[
            OpenApiParameter("why", str, required=True, description="At most 500 characters.")
        ],
        responses={204: None},
    )
    def delete(self, request: Request, suppression_id: UUID) -> Response:
        why = request.query_params.get("why", "").replace("\0", "").strip()
        if not 0 < len(why) <= 500:
            raise InvalidInput.of("why", "required", "Say why, in at most 500 characters.")
        if not suppress.lift([suppression_id], suppress.Lift(agent(request).client.name, why)):
            raise NotFound("There is no entry with this id; it may have been lifted.")
        return Response(status=http.HTTP_204_NO_CONTENT)


# --- Many ----------------------------------------------------------------------------------------


@bounded(largest_upload)
class ImportSuppressions(APIView):
    """Entries of another system."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.AUDIENCE_WRITE}
    parser_classes = (NdjsonParser, CsvParser)

    @extend_schema(
        operation_id="suppressions_import",
        summary="Import entries from NDJSON or CSV",
        description=f"The columns are {', '.join(f'`{name}`' for name in COLUMNS)}; of these "
        "`channel` and `address` are enough. Safe to repeat.",
        request={"application/x-ndjson": SuppressionInput, "text/csv": str},
        responses=PeopleImportedOutput,
    )
    def post(self, request: Request) -> Response:
        name = agent(request).client.name
        places: dict[str, list[str]] = defaultdict(list)

        def store(entries: Sequence[Suppression]) -> None:
            for entry in entries:
                entry.source = entry.source or name
                places[entry.channel].append(entry.address_hash)
            suppress.add_all(entries)

        raw = uploaded(request, {"address", "address_hash"}, _given)
        imported = run(raw, SuppressionInput, store)
        suppress.settle(places.items())
        return Response(PeopleImportedOutput(vars(imported)).data)


def _given(cells: dict[str, str]) -> dict[str, str]:
    return {name: as_written(cell) for name, cell in cells.items() if cell}


class ExportSuppressions(APIView):
    """All entries as a file."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.AUDIENCE_READ}

    @extend_schema(
        operation_id="suppressions_export",
        summary="Export the list as CSV",
        description="What the import takes. `address` is empty where it was erased; the hash is "
        "keyed, so it serves this installation alone.",
        parameters=_FILTERS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        return download(
            request._request,  # noqa: SLF001 - DRF has no other way to Django's own
            _lines(_filtered(request)),
            content_type="text/csv; charset=utf-8",
            filename="suppressions.csv",
        )


def _lines(rows: QuerySet[Suppression]) -> Iterator[bytes]:
    """Read in pages by id: no transaction stays open while a slow client reads."""
    yield _as_csv([COLUMNS])
    last = None
    while found := list(rows.filter(id__lt=last)[:PAGE] if last else rows[:PAGE]):
        yield _as_csv(map(_cells, found))
        last = found[-1].id


def _cells(row: Suppression) -> list[str]:
    ends = row.expires_at.isoformat() if row.expires_at else ""
    return [*(inert(getattr(row, name)) for name in COLUMNS[:-1]), ends]


def _as_csv(lines: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
