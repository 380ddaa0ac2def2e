"""Mail as its reader sees it, on a staff page: no script, no form, nothing loaded, no way out."""

from __future__ import annotations

from django.http import HttpResponse
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


_WITH_PICTURES = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:;"
    " font-src https: data:; frame-ancestors 'self'"
)


def document(html: str) -> str:
    """`html` as the `srcdoc` of a sandboxed frame."""
    return _HEAD + html


def with_pictures(html: str) -> HttpResponse:
    """`html` as a page for a sandboxed frame, after somebody asked for its remote pictures."""
    head = _HEAD.replace(_POLICY, _WITH_PICTURES.partition(" frame-ancestors")[0])
    answer = HttpResponse(head + html)
    answer.headers["Content-Security-Policy"] = _WITH_PICTURES
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def frame(html: str, title: str = "Message") -> SafeString:
    """An `<iframe>` that shows `html`, which may come from anybody."""
    return format_html(
        '<iframe class="comms-mail" sandbox="" referrerpolicy="no-referrer" title="{}"'
        ' srcdoc="{}"></iframe>',
        title,
        document(html),
    )
