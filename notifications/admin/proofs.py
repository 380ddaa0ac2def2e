"""Test sends of the template editor: accepted like any message, sent by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commsproject.common.errors import CommsError, Conflict, InvalidInput
from commsproject.common.models import ApiClient
from notifications import addresses
from notifications.services import proofs
from notifications.services.asked import Target
from notifications.types import Channel
from templates_app.admin import test_send
from templates_app.admin.test_send import Wanted

_BY_ADDRESS = (Channel.EMAIL, Channel.SMS)
"""The others go to a person's devices and inbox."""


def send(wanted: Wanted) -> str:
    """In the name of the first active agent."""
    if wanted.channel not in Channel.values:
        raise InvalidInput.of("channel", "unknown", "There is no such channel.")
    channel = Channel(wanted.channel)
    client = ApiClient.objects.filter(is_active=True).order_by("id").first()
    if client is None:
        raise Conflict("A test is sent in the name of an agent: make one first.")
    result = proofs.send(
        client,
        wanted.version,
        _target(channel, wanted.to),
        wanted.data,
        locale=wanted.locale,
        channels=[channel],
    )
    if isinstance(result, CommsError):
        raise result
    return f"Accepted in the name of {client.name}. {_outcome(result.response)}"


def _target(channel: Channel, to: str) -> Target:
    if channel not in _BY_ADDRESS:
        return Target(user_id=to)
    try:
        return Target(addresses={channel: addresses.normalise(channel, to)})
    except addresses.BadAddress as error:
        raise InvalidInput.of("to", "invalid", str(error)) from None


def _outcome(accepted: Mapping[str, Any]) -> str:
    reasons = [delivery["reason"] for delivery in accepted["deliveries"] if delivery["reason"]]
    return f"Not sent: {reasons[0]}." if reasons else "It is under way; see Notifications."


test_send.register(send)
