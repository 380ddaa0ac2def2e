"""One id for each request, on every line it logs itself. Work it leaves to others has its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from django.http import HttpRequest, HttpResponse

from commsproject.common.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "X-Request-Id"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Log lines written inside carry `fields`."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def request_id(given: str) -> str:
    """The caller's own if it is well formed, else a new one."""
    return given if _ACCEPTABLE.fullmatch(given) else new_id().hex


class CorrelationMiddleware:
    """Each request has its id while it is worked on, and its answer carries it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        own = request_id(request.headers.get(HEADER, ""))
        with bound(request_id=own):
            response = self.get_response(request)
        response.headers[HEADER] = own
        return response
