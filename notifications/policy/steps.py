"""Whether a later step of a message is still needed. A step is a delivery on another channel."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from notifications.policy.rules import Delay, Refusal
from notifications.states import PENDING, State
from notifications.types import Unless

_DID = {
    Unless.SENT: {State.SENT, State.DELIVERED},
    Unless.DELIVERED: {State.DELIVERED},
    Unless.READ: frozenset[State](),
}

_OUT = PENDING | {State.SENT, State.DELIVERED}
"""What may still do, or has done."""


def step(
    unless: Unless, due_at: datetime, now: datetime, before: Collection[State], *, was_read: bool
) -> Refusal | Delay | None:
    """`before`: the states of all deliveries that come before it; None: send it now.

    What was read has arrived, whatever the providers said. It does not wait for what has failed
    for good.
    """
    if was_read or _DID[unless] & set(before):
        did = "read" if was_read else unless.value
        return Refusal(State.CANCELLED, f"not needed: the message was {did}")
    if now < due_at and _OUT & set(before):
        return Delay(due_at, f"waits whether the message is {unless.value}")
    return None
