"""Who is calling. `request.user` of an API view is an `Agent`, an `EndUser`, or None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from commsproject.common.models import ApiClient


@dataclass(frozen=True)
class Agent:
    """A program with an API key. `scopes` are those of the key it came with."""

    client: ApiClient
    scopes: frozenset[str]

    is_authenticated: ClassVar[bool] = True


@dataclass(frozen=True)
class EndUser:
    """A person with a token of the identity service, known by its `user_id` only."""

    user_id: str

    is_authenticated: ClassVar[bool] = True


def principal(request: Request) -> Agent | EndUser | None:
    """Who calls; None for an anonymous caller."""
    user: object = request.user  # DRF's types know Django's users only
    return user if isinstance(user, Agent | EndUser) else None


def agent(request: Request) -> Agent:
    """The agent that calls. Raises PermissionDenied (403) where the caller is none."""
    caller = principal(request)
    if isinstance(caller, Agent):
        return caller
    raise PermissionDenied("This is for agents: call it with an API key.")
