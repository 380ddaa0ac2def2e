"""Bodies sent in chunks have no Content-Length, which REST framework takes for no body."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse


class ChunkedBodyMiddleware:
    """Fill in the length. Under ASGI the body has been received whole by now, into a spooled file."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        stream: Any = getattr(request, "_stream", None)
        has_length = bool(request.META.get("CONTENT_LENGTH"))
        if "HTTP_TRANSFER_ENCODING" in request.META and not has_length and _can_seek(stream):
            request.META["CONTENT_LENGTH"] = str(stream.seek(0, io.SEEK_END))
            stream.seek(0)
        return self.get_response(request)


def _can_seek(stream: object) -> bool:
    return callable(getattr(stream, "seek", None))
