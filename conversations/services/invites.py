"""How many people one end user may bring into conversations.

Whoever is brought in may be told of it by push and by email, in our name and in the inviter's words:
without a bound one token is a relay for phishing.
"""

from __future__ import annotations

import math

from django.conf import settings

from commsproject.common import limits
from commsproject.common.errors import RateLimited
from commsproject.common.limits import Bucket
from commsproject.common.personal_data.registry import digest
from conversations.types import Actor, Who


def take(actor: Actor, people: int) -> None:
    """Leave to bring in so many, now. Agents and staff answer for themselves. Raises `RateLimited`."""
    rate = settings.CONVERSATION_INVITES
    if actor.who is not Who.USER or not rate or not people:
        return
    grant = limits.take([Bucket(f"invites:{digest(actor.id)}", rate.count, rate.seconds)], people)
    if grant.granted < people:
        limits.give_back(grant, grant.granted)
        raise RateLimited(
            f"You may bring at most {rate.count} people into conversations in {rate.seconds:g} s, "
            f"{grant.granted} more just now.",
            retry_after=math.ceil(grant.wait),
        )
