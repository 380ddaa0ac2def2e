"""Cursor pages. Imports nothing else of DRF: settings load this module early."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from commsproject.common.errors import InvalidInput


class NewestFirst(CursorPagination):
    """`{"results", "next", "previous"}`, newest first: uuid7 keys ascend with time."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200

    @override
    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises InvalidInput for what was not in a link of ours."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                UUID(str(cursor.position))
        except (NotFound, ValueError):
            message = "Take the cursor from `next` or `previous` of another page, unchanged."
            raise InvalidInput.of("cursor", "bad_cursor", message) from None
        return cursor

    @override
    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()}
        )
