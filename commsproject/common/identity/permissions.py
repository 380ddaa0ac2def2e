"""What a caller may do. A view says it in two class attributes:

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.TEMPLATES_READ}
    allow_end_users = False

A scope per HTTP method that the view answers, None for "any API key". A method without an entry is
for end users only; where those are not allowed either, `manage.py check` refuses the view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from typing_extensions import override

from commsproject.common.identity.principals import Agent, EndUser, principal
from commsproject.common.identity.scopes import Scope

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which loads this module while it loads itself


class HasScope(BasePermission):
    """Lets in agents whose key has the scope, and end users where the view is for them too."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """False for an anonymous caller (401). Raises PermissionDenied (403) for any other."""
        match principal(request):
            case Agent(scopes=scopes):
                _check_agent(scopes, request.method or "", view)
            case EndUser():
                if not allows_end_users(view):
                    raise PermissionDenied("This is for agents: call it with an API key.")
            case _:
                return False
        return True


def declared(view: APIView | type[APIView]) -> Mapping[str, Scope | None]:
    """The scopes that `view` asks for, by HTTP method."""
    scopes: Mapping[str, Scope | None] = getattr(view, "required_scopes", {})
    return scopes


def allows_end_users(view: APIView | type[APIView]) -> bool:
    return bool(getattr(view, "allow_end_users", False))


def _check_agent(scopes: frozenset[str], method: str, view: APIView) -> None:
    method = "GET" if method == "HEAD" else method
    if method == "OPTIONS" or not _answers(view, method):
        return  # a description of the view, or the answer 405
    if method in declared(view):
        needed = declared(view)[method]
        if needed is not None and needed not in scopes:
            raise PermissionDenied(f"This needs an API key with the scope {needed.value}.")
    elif allows_end_users(view):
        raise PermissionDenied("This is for people: call it with a user's token.")
    else:
        raise ImproperlyConfigured(f"{type(view).__name__} declares no scope for {method}.")


def _answers(view: APIView, method: str) -> bool:
    return method.lower() in view.http_method_names and hasattr(view, method.lower())
