"""Cursor pages. Imports nothing else of DRF: settings load this module early."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from commsproject.common.errors import InvalidInput

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
