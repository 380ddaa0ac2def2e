"""Where the links and the image in emails lead. No account, no cookie, no script."""

from __future__ import annotations

import base64
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseRedirect
from django.views.decorators.http import require_safe

from templates_app import links
from tracking import machines
from tracking.models import Hit
from tracking.services import engagement

log = structlog.get_logger(__name__)

IMAGE: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""

_HEADERS = {
    "Cache-Control": "no-store, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


@require_safe
def follow(request: HttpRequest, token: str) -> HttpResponse:
    """`/l/<token>`: on to where the link leads, which is inside what we signed and nowhere else."""
    try:
        click = links.read_click(token)
    except links.BadLink:
        return _unknown()
    _note(request, Hit.Kind.CLICKED, click)
    return HttpResponseRedirect(click.url, headers=_HEADERS)


@require_safe
def image(request: HttpRequest, token: str) -> HttpResponse:
    """`/o/<token>.gif`."""
    try:
        attempt_id = links.read_open(token)
    except links.BadLink:
        return _unknown()
    _note(request, Hit.Kind.OPENED, links.Click(attempt_id, ""))
    return HttpResponse(IMAGE, content_type="image/gif", headers=_HEADERS)


def _note(request: HttpRequest, kind: Hit.Kind, click: links.Click) -> None:
    """A person gets where the link leads, whatever state the database is in."""
    machine = machines.by_request(request.method or "", request.headers)
    try:
        engagement.note(kind, click.attempt_id, machine, click.url)
    except (DatabaseError, InterfaceError) as error:
        log.warning("hit not noted", kind=kind.value, error=type(error).__name__)


def _unknown() -> HttpResponse:
    text = "This link is not complete. Follow it from the message itself, or copy all of it."
    return HttpResponseNotFound(text, content_type="text/plain", headers=_HEADERS)
