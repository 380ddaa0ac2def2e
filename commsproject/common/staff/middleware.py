"""Who is signed in to the staff pages is nobody once the sign-in has ended, or before it is whole."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from commsproject.common.models import StaffSession
from commsproject.common.staff import sessions

ENDED = "Your session has ended. Sign in again."
_NEEDS_NO_FACTOR = ("security_set_up", "logout", "login", "jsi18n")


class StaffSessionMiddleware:
    """After those of sessions, authentication and messages. Who has no cookie costs nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_cookie = settings.SESSION_COOKIE_NAME in request.COOKIES
        answer = _admitted(request) if has_cookie and request.user.is_authenticated else None
        return answer or self.get_response(request)


def _admitted(request: HttpRequest) -> HttpResponse | None:
    """None: go on, as whoever `request.user` is then."""
    row = sessions.current(request.session, request.user.pk)
    if row is None:
        logout(request)
        messages.info(request, ENDED)
        return None
    if sessions.lacks_factor(row):
        return _led_to_set_up(request)
    if _is_look(request):
        sessions.note(row)
    request.staff_session = row  # type: ignore[attr-defined]  # for the pages about it
    return None


def _led_to_set_up(request: HttpRequest) -> HttpResponse | None:
    if request.path in {reverse(f"admin:{name}") for name in _NEEDS_NO_FACTOR}:
        return None
    if request.path.startswith(reverse("admin:index")):
        return HttpResponseRedirect(reverse("admin:security_set_up"))
    request.user = AnonymousUser()
    return None


def _is_look(request: HttpRequest) -> bool:
    """A page that asks for news by itself does not keep a sign-in alive."""
    return request.method != "GET" or request.headers.get("Sec-Fetch-Dest") in (None, "document")


def current(request: HttpRequest) -> StaffSession | None:
    return getattr(request, "staff_session", None)
