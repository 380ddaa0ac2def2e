"""What people open in a browser, without a key: files, by their links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from commsproject.common.api.streaming import download
from commsproject.common.csp import HEADER
from commsproject.common.errors import NotFound
from conversations.files.sniffing import IMAGES
from conversations.services import attachments

_PIECE = 64 * 1024
_SHOWN = IMAGES | {"audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "video/mp4", "video/webm"}


@require_GET
def file(request: HttpRequest, token: str) -> HttpResponseBase:
    """`/files/<token>`: pictures and sound are shown, all else is a download."""
    user = request.user
    staff_id = str(user.pk) if user.is_active and user.is_staff else None
    try:
        attachment, content, is_thumbnail = attachments.opened(token, staff_id)
    except NotFound:
        raise Http404 from None
    media_type = "image/webp" if is_thumbnail else attachment.media_type
    response = download(request, _pieces(content), content_type=media_type, filename="file")
    response.headers["Content-Disposition"] = (
        content_disposition_header(media_type not in _SHOWN, attachment.name) or "attachment"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, max-age=300"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers[HEADER] = "default-src 'none'; sandbox"
    return response


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while piece := content.read(_PIECE):
            yield piece
