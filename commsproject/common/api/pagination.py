"""Cursor pages. Imports nothing else of DRF: settings load this module early."""

from __future__ import annotations

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response
from typing_extensions import override


class NewestFirst(CursorPagination):
    """`{"results", "next", "previous"}`, newest first: uuid7 keys ascend with time."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200

    @override
    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()}
        )

    @override
    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["results"],
            "properties": {
                "results": schema,
                "next": link | {"description": "The next page; null on the last."},
                "previous": link | {"description": "The page before; null on the first."},
            },
        }
