"""Pages that take files: of staff who are signed in."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest

from commsproject.common.api.problems import Unauthenticated
from commsproject.common.bodies import bounded
from commsproject.common.staff import sessions

_View = TypeVar("_View", bound=Callable[..., Any])


def takes_files(limit: Callable[..., int]) -> Callable[[_View], _View]:
    """Of a view: a body of so many bytes."""
    return bounded(limit, _signed_in)


def _signed_in(request: HttpRequest) -> None:
    """Raises `Unauthenticated`. The session is read only: Django's own look at it comes later."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    if not sessions.holds(session, session.get(SESSION_KEY)):
        raise Unauthenticated("Sign in again, then send this once more.")
