"""Cursor pages. Imports nothing else of DRF: settings load this module early."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from commsproject.common.errors import InvalidInput

if TYPE_CHECKING:
    from rest_framework.views import APIView

_WHOLE = re.compile(r"[0-9]{1,4}")


class NewestFirst(CursorPagination):
    """`{"results", "next", "previous"}`, newest first: uuid7 keys ascend with time."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200

    @override
    def get_page_size(self, request: Request) -> int:
        """Raises InvalidInput for a `limit` that is no number from 1 to 200."""
        asked = request.query_params.get(self.page_size_query_param, str(self.page_size))
        size = int(asked) if _WHOLE.fullmatch(asked) else 0
        if not 1 <= size <= self.max_page_size:
            message = f"A whole number from 1 to {self.max_page_size}."
            raise InvalidInput.of("limit", "bad_limit", message)
        return size

    @override
    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises InvalidInput for what was not in a link of ours."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self.check_position(str(cursor.position))
        except (NotFound, ValueError):
            message = "Take the cursor from `next` or `previous` of another page, unchanged."
            raise InvalidInput.of("cursor", "bad_cursor", message) from None
        return cursor

    def check_position(self, position: str) -> None:
        """Raises ValueError for what is no value of the field that the list is ordered by."""
        UUID(position)

    @override
    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()}
        )


LOOK: Final = 10_000
"""Rows that a page looks at, at most, where no index knows what it asks for."""


class NewestOfMany(NewestFirst):
    """Newest first, of a filter that no index knows: each page looks at `LOOK` of `among`, the rows
    that are filtered. It may be short, even empty, and its links go on.

    Else one page of what is rare would read millions of rows.
    """

    def __init__(self, among: QuerySet[Any]) -> None:
        self._among = among
        self._edge: UUID | None = None
        """The last row that was looked at; None where there are no more."""
        self._is_back = False

    @override
    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        cursor = self.decode_cursor(request)
        self._is_back = bool(cursor and cursor.reverse)
        rows = self._among.order_by("id" if self._is_back else "-id")
        if cursor is not None and cursor.position is not None:
            side = "id__gt" if self._is_back else "id__lt"
            rows = rows.filter(**{side: cursor.position})
        self._edge = rows.values_list("id", flat=True)[LOOK - 1 : LOOK].first()
        if self._edge is not None:
            side = "id__lte" if self._is_back else "id__gte"
            queryset = queryset.filter(**{side: self._edge})
        return super().paginate_queryset(queryset, request, view)

    @override
    def get_next_link(self) -> str | None:
        return super().get_next_link() or self._beyond(is_back=False)

    @override
    def get_previous_link(self) -> str | None:
        return super().get_previous_link() or self._beyond(is_back=True)

    def _beyond(self, *, is_back: bool) -> str | None:
        """From between two keys, so that the way back passes the last row that was looked at."""
        if self._edge is None or self._is_back is not is_back:
            return None
        between = UUID(int=self._edge.int + (1 if is_back else -1))
        return self.encode_cursor(
            Cursor(offset=0, reverse=is_back, position=cast("Any", str(between)))
        )
