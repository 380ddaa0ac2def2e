"""Uploads of many rows, which are written a thousand at a time while the rest still comes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, TypeVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.problems import translate
from commsproject.common.bodies import bounded
from commsproject.common.errors import CommsError, FieldError, InvalidInput
from commsproject.common.identity.scopes import Scope
from notifications.api import rows
from notifications.api.batch_input import CsvParser, NdjsonParser, largest_upload
from notifications.api.input import Line
from notifications.api.people import MAX_USER_ID
from notifications.api.recipients import RecipientInput
from notifications.services import recipients
from notifications.services.bulk import Rejected
from notifications.services.recipients import Known

CHUNK = 1000
MAX_TOLD = 100
"""Errors that the answer lists."""

T = TypeVar("T")
Numbered = tuple[int, T]


@dataclass
class Imported:
    """How an upload went."""

    received: int = 0
    stored: int = 0
    rejected: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, number: int, errors: Iterable[FieldError]) -> None:
        self.rejected += 1
        room = MAX_TOLD - len(self.errors)
        self.errors += [{"number": number, **vars(error)} for error in islice(errors, room)]


class RowErrorOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="Of the row in the upload, from 1.")
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class PeopleImportedOutput(serializers.Serializer[Any]):
    """What became of an upload. Rows that are rejected leave nothing behind."""

    received = serializers.IntegerField()
    stored = serializers.IntegerField()
    rejected = serializers.IntegerField()
    errors = RowErrorOutput(many=True, help_text=f"The first {MAX_TOLD}.")  # type: ignore[assignment]


def run(
    raw: Iterable[Numbered[Any]],
    serializer: type[serializers.Serializer[Any]],
    store: Callable[[Sequence[Any]], None],
) -> Imported:
    """Check each row and store the good ones a chunk at a time; a chunk in which one cannot be
    stored is stored row by row.
    """
    done = Imported()
    good = _checked(raw, serializer, done)
    while chunk := list(islice(good, CHUNK)):
        _store(chunk, store, done)
    return done


def _checked(
    raw: Iterable[Numbered[Any]], serializer: type[serializers.Serializer[Any]], done: Imported
) -> Iterator[Numbered[Any]]:
    for number, row in raw:
        done.received += 1
        if isinstance(row, Rejected):
            done.reject(number, row.errors)
            continue
        found = serializer(data=row)
        try:
            found.is_valid(raise_exception=True)
        except serializers.ValidationError as wrong:
            error = translate(wrong)
            done.reject(number, error.errors if error else ())
        else:
            yield number, found.validated_data


def _store(
    chunk: Sequence[Numbered[Any]], store: Callable[[Sequence[Any]], None], done: Imported
) -> None:
    try:
        store([row for _, row in chunk])
    except CommsError as error:
        if len(chunk) == 1:
            told = error.errors or [FieldError("", error.code, error.detail)]
            done.reject(chunk[0][0], told)
            return
        for one in chunk:
            _store([one], store, done)
    else:
        done.stored += len(chunk)


def uploaded(
    request: Request, one_of: Collection[str], from_csv: Callable[[dict[str, str]], Any]
) -> Iterator[Numbered[Any]]:
    """The rows of a request's body; `from_csv` makes of a record what a line of NDJSON holds."""
    if not isinstance(stream := request.data, rows.Stream):  # DRF parses no body that is empty
        raise InvalidInput.of("rows", "required", "Send the rows as the body.")
    if (request.content_type or "").partition(";")[0].strip().lower() != "text/csv":
        yield from rows.json_lines(stream.pieces())
        return
    for number, cells in rows.csv_records(stream.pieces(), one_of):
        if isinstance(cells, Rejected):
            yield number, cells
        elif wrong := [name for name, cell in cells.items() if "\0" in cell]:
            error = FieldError(wrong[0], "control_character", "NUL is not allowed here.")
            yield number, Rejected(number, [error])
        else:
            yield number, from_csv(cells)


# --- People --------------------------------------------------------------------------------------


class RecipientRow(RecipientInput):
    """A person, as `PUT /recipients/{user_id}` takes them."""

    user_id = Line(max_length=MAX_USER_ID)

    @override
    def validate(self, attrs: Any) -> Known:
        return Known(attrs["user_id"], **super().validate(attrs))


def _person(cells: dict[str, str]) -> dict[str, Any]:
    """`email` and `phone` are one each, `topics` are separated by blanks, `data.plan` is an entry of
    `data`. Cells that are empty say nothing.
    """
    row: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name, cell in cells.items():
        if not cell:
            continue
        if name in ("email", "phone"):
            made[f"{name}s"] = [cell]
        elif name == "topics":
            row[name] = cell.split()
        elif name.startswith("data."):
            made.setdefault("data", {})[name.removeprefix("data.")] = cell
        else:
            row[name] = cell
    return {**made, **row}  # a column `emails` or `data` is wrong, and told as such


def _store_people(known: Sequence[Known]) -> None:
    recipients.put(known)


_IMPORTED = {
    "received": 3,
    "stored": 2,
    "rejected": 1,
    "errors": [
        {"number": 2, "field": "phones.0", "code": "bad_address", "message": "Not a phone number."}
    ],
}


@bounded(largest_upload)
class ImportRecipients(APIView):
    """People, many at once."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.AUDIENCE_WRITE}
    parser_classes = (NdjsonParser, CsvParser)

    @extend_schema(
        operation_id="recipients_import",
        summary="Import people from NDJSON or CSV",
        description="A row is what `PUT /recipients/{user_id}` takes, with `user_id`. In CSV the "
        "columns are `user_id`, `email`, `phone`, `locale`, `time_zone`, `paused_until`, `topics` "
        "(separated by blanks) and `data.<name>`. Rows are written a thousand at a time: what was "
        "stored before a connection breaks stays, and the same file can be sent again.",
        request={"application/x-ndjson": RecipientRow, "text/csv": str},
        responses=PeopleImportedOutput,
        examples=[OpenApiExample("One row was wrong", value=_IMPORTED, response_only=True)],
    )
    def post(self, request: Request) -> Response:
        found = run(uploaded(request, {"user_id"}, _person), RecipientRow, _store_people)
        return Response(PeopleImportedOutput(vars(found)).data)
