"""Content-Security-Policy: strict everywhere, looser where somebody else's pages need it."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"

_SAME = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def _policy(**more: str) -> str:
    directives = {**_SAME, **{name.replace("_", "-"): value for name, value in more.items()}}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


STRICT = _policy()

LOOSER = {
    # The admin theme evaluates its inline Alpine expressions and styles from strings.
    "/admin/": _policy(
        script_src="'self' 'unsafe-eval'",
        style_src="'self' 'unsafe-inline'",
        img_src="'self' data:",
    ),
    # Swagger UI puts style elements and data: pictures into its page.
    "/api/docs/": _policy(style_src="'self' 'unsafe-inline'", img_src="'self' data:"),
}


class CspMiddleware:
    """Adds the policy of the path to every response that has none of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if settings.DEBUG and response.status_code in (404, 500):
            return response  # Django's own pages for developers have inline styles and scripts
        response.headers.setdefault(HEADER, _for(request.path))
        return response


def _for(path: str) -> str:
    return next((policy for start, policy in LOOSER.items() if path.startswith(start)), STRICT)
