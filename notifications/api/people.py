"""Whose data a caller may see: agents everybody's, a person their own."""

from __future__ import annotations

from rest_framework.request import Request

from commsproject.common.errors import NotFound
from commsproject.common.identity.principals import EndUser, principal

MAX_USER_ID = 200


def permitted(request: Request, user_id: str) -> str:
    """`user_id`, where the caller may act for this person. Raises `NotFound`."""
    caller = principal(request)
    is_theirs = not isinstance(caller, EndUser) or caller.user_id == user_id
    if not is_theirs or len(user_id) > MAX_USER_ID or not user_id.isprintable():
        raise NotFound("There is no such person, or it is not you.")
    return user_id
