"""Which addresses a client may open or show that a message brings with it."""

from __future__ import annotations

import re

from templates_app import app_links

_ALSO = re.compile(r"(?:http://|mailto:|tel:)[^\s\\\x00-\x1f\x7f]*", re.IGNORECASE)


def is_link(text: str) -> bool:
    """Whether it leads where a link of a push may, to any other web page, an email or a phone call.
    Everything else may run as a script where it is clicked: `javascript:`, `data:` and more to come.
    """
    return app_links.is_link(text) or _ALSO.fullmatch(text) is not None


def is_image(text: str) -> bool:
    return app_links.is_image(text)
