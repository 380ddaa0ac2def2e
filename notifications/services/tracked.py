"""Links and the image by which we hear that an email was opened, and which of its links followed."""

from __future__ import annotations

import html
import re
from uuid import UUID

from django.conf import settings

from templates_app import links

LONGEST_URL = 1500
"""A longer one stays as it is: signed it might be too long for mail programs."""

_HREF = re.compile(r"""(<a\s[^>]*?\bhref\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


def mark(text: str, attempt_id: UUID, *, opens: bool, clicks: bool) -> str:
    """The HTML of one attempt's email with its links led through us, and with our image at its end.

    Links that are no web pages stay, and those to this service itself: a person who unsubscribes is
    not counted as interested.
    """
    if clicks:
        text = _HREF.sub(lambda found: found[1] + _signed(found[2], attempt_id), text)
    return _with_image(text, attempt_id) if opens else text


def _signed(quoted: str, attempt_id: UUID) -> str:
    url = html.unescape(quoted[1:-1]).strip()
    is_ours = url.lower().startswith(f"{settings.PUBLIC_URL}/".lower())
    if is_ours or len(url) > LONGEST_URL or not _WEB.fullmatch(url):
        return quoted
    return f'"{settings.PUBLIC_URL}/l/{links.click_token(attempt_id, url)}"'


def _with_image(text: str, attempt_id: UUID) -> str:
    source = f"{settings.PUBLIC_URL}/o/{links.open_token(attempt_id)}.gif"
    image = f'<img src="{source}" width="1" height="1" alt="" style="display:block;border:0">'
    ends = list(_BODY_END.finditer(text))
    place = ends[-1].start() if ends else len(text)
    return text[:place] + image + text[place:]
