"""Requests from pages of other origins: the paths that widgets use, for those who may open the socket.

No cookie is ever allowed along: a page of another origin has its user's token. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from commsproject.common.live import origins

_paths: tuple[str, ...] = ()


def open_to_pages(*names: str) -> None:
    """Let pages of other origins call what begins with these, below `/api/v1/`. Apps say so in
    `ready()`.
    """
    global _paths
    _paths += tuple(f"/api/v1/{name}" for name in names)


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "7200",
}


class CorsMiddleware:
    """Answers preflights, and lets allowed pages read the answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_paths):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        is_allowed = bool(origin) and origins.is_allowed(origin)
        if is_allowed and _is_preflight(request):
            response = HttpResponse(status=204, headers=_PREFLIGHT)
        else:
            response = self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if is_allowed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Date, Retry-After"
        return response


def _is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
