"""In whose name a request acts."""

from __future__ import annotations

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from commsproject.common.identity.principals import Agent, EndUser, principal
from conversations.types import Actor, Who


def actor(request: Request) -> Actor:
    match principal(request):
        case EndUser(user_id=user_id):
            return Actor(Who.USER, user_id)
        case Agent(client=client):
            return Actor(Who.AGENT, str(client.id))
    raise NotAuthenticated
