"""What an API key may do. A key holds any number of scopes; a view asks for one per method."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from commsproject.common.errors import InvalidInput


class Scope(models.TextChoices):
    """`<area>:<read|write>`; the label says what the scope allows. `write` does not imply `read`."""

    NOTIFICATIONS_READ = (
        "notifications:read",
        "See messages, batches, schedules, queues and dead letters",
    )
    NOTIFICATIONS_WRITE = "notifications:write", "Send, schedule, cancel and replay messages"
    TEMPLATES_READ = "templates:read", "See and preview templates"
    TEMPLATES_WRITE = "templates:write", "Change and publish templates"
    AUDIENCE_READ = "audience:read", "See suppressions, bounces, recipients and preferences"
    AUDIENCE_WRITE = "audience:write", "Change suppressions, recipients and preferences"
    ANNOUNCEMENTS_READ = "announcements:read", "See announcements"
    ANNOUNCEMENTS_WRITE = "announcements:write", "Make, publish and end announcements"
    CONVERSATIONS_READ = "conversations:read", "Read the conversations the agent takes part in"
    CONVERSATIONS_WRITE = "conversations:write", "Start conversations and write into them"
    PROVIDERS_READ = "providers:read", "See providers and their state"
    PROVIDERS_WRITE = "providers:write", "Switch providers and script the simulator"
    WEBHOOKS_READ = "webhooks:read", "See webhook endpoints and what was sent to them"
    WEBHOOKS_WRITE = "webhooks:write", "Make, change, try and replay webhook endpoints"
    ANALYTICS_READ = "analytics:read", "See what was sent, delivered and opened, in sums"
    ALERTS_READ = "alerts:read", "See alerts"
    ALERTS_WRITE = "alerts:write", "Acknowledge alerts"


def parse(names: Iterable[str]) -> list[Scope]:
    """`names` as scopes: without repetition, in the order of `Scope`.

    Raises InvalidInput, which lists the scopes there are, for a name that is none.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(Scope.values))
    if unknown:
        known = ", ".join(Scope.values)
        message = f"There is no scope {', '.join(unknown)}. The scopes are: {known}."
        raise InvalidInput.of("scopes", "unknown_scope", message)
    return [scope for scope in Scope if scope in wanted]
