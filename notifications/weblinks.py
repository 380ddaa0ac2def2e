"""Which addresses a client may open or show that a message brings with it."""

from __future__ import annotations

import re

from django.conf import settings

_ANY = r"[^\s\\\x00-\x1f\x7f]*"
_REST = re.compile(_ANY)
_SAFE = re.compile(rf"(?:https?://|/(?![/\\])|mailto:|tel:){_ANY}", re.IGNORECASE)
_IMAGE = re.compile(rf"(?:https?://|/(?![/\\])){_ANY}", re.IGNORECASE)


def is_link(text: str) -> bool:
    """Whether it leads to a web page, a path of the same site, an email, a phone call or one of our
    apps (APP_LINK_SCHEMES). Everything else may run as a script where it is clicked: `javascript:`,
    `data:` and more to come.
    """
    scheme, _, rest = text.partition("://")
    if scheme in settings.APP_LINK_SCHEMES:
        return _REST.fullmatch(rest) is not None
    return _SAFE.fullmatch(text) is not None


def is_image(text: str) -> bool:
    return _IMAGE.fullmatch(text) is not None
