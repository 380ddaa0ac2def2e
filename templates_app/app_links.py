"""Where a push or an in-app message may lead, and which picture it may show."""

from __future__ import annotations

import re

from django.conf import settings

_REST = r"[^\s\\\x00-\x1f\x7f]*"
_PATH = r"/(?![/\\])"
"""Two slashes, of either kind, are the site of somebody else."""
_LINK = re.compile(rf"(?:https://|{_PATH}|([a-z][a-z0-9+.-]*):){_REST}", re.IGNORECASE)
_IMAGE = re.compile(rf"(?:https?://|{_PATH}){_REST}", re.IGNORECASE)


def is_link(text: str) -> bool:
    """Whether it leads by https, to a path of the app that shows the message, or into an app of ours
    that has registered the scheme (APP_LINK_SCHEMES). Everything else may run as a script where it
    is pressed.
    """
    found = _LINK.fullmatch(text)
    if found is None:
        return False
    return found[1] is None or found[1].lower() in settings.APP_LINK_SCHEMES


def is_image(text: str) -> bool:
    return _IMAGE.fullmatch(text) is not None
