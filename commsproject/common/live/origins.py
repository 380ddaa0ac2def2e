"""Whose pages may use the service from a browser: LIVE_ORIGINS, for the socket as for requests."""

from __future__ import annotations

from urllib.parse import urlsplit

from channels.security.websocket import OriginValidator
from django.conf import settings


def is_allowed(origin: str) -> bool:
    """Browsers always send one, and a page of another site must not use the socket. Programs send
    none: they hold a ticket, which no page can make them send.
    """
    if not origin:
        return True
    allowed = settings.LIVE_ORIGINS or [settings.PUBLIC_URL]
    try:
        parsed = urlsplit(origin)
        return bool(OriginValidator(None, allowed).validate_origin(parsed))
    except ValueError:
        return False
