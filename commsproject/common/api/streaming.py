"""Downloads of any length that are never in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse


def download(
    request: HttpRequest, pieces: Iterator[bytes], *, content_type: str, filename: str
) -> StreamingHttpResponse:
    """`pieces` as an attachment. They are made in the request's own thread, as they are sent."""
    # Under ASGI Django would collect a plain iterator into a list first.
    content = _in_thread(pieces) if isinstance(request, ASGIRequest) else pieces
    return StreamingHttpResponse(
        content,
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await sync_to_async(_following)(pieces)) is not None:
        yield piece


def _following(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
