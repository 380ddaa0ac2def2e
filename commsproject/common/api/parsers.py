"""The body of a request as JSON, bounded and strict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from typing_extensions import override

from commsproject.common.api import strict_json
from commsproject.common.api.problems import TooLarge


class StrictJSONParser(BaseParser):
    """`strict_json` of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes."""

    media_type = "application/json"

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"A body may have at most {limit} bytes.")
        try:
            return strict_json.loads(raw)
        except strict_json.BadJSON as error:
            raise ParseError(str(error)) from None
