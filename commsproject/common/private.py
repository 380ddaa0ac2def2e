"""What the API and the staff pages answer is their caller's: no cache, on the way or in a browser, keeps it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_PATHS = ("/api/v1/", "/admin/")


class PrivateMiddleware:
    """`Cache-Control: no-store` (RFC 9111, 5.2.2.5) where an answer says nothing of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(_PATHS):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
