"""Mail as its reader sees it, on a staff page: no script, no form, nothing loaded, no way out."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
_HEAD = (
    "<!doctype html>"
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta name="referrer" content="no-referrer"><base target="_blank">'
)
"""In front of all else, so nothing in the mail can come before the policy. With `allow-popups`
withheld, a link that opens a new window opens none."""


def frame(html: str, title: str = "Message") -> SafeString:
    """An `<iframe>` that shows `html`, which may come from anybody."""
    return format_html(
        '<iframe class="comms-mail" sandbox="" referrerpolicy="no-referrer" title="{}"'
        ' srcdoc="{}"></iframe>',
        title,
        _HEAD + html,
    )
