"""What this app hears from the engine, inside the engine's transactions."""

from __future__ import annotations

from collections.abc import Sequence

from django.dispatch import receiver

from notifications.services.status import Applied
from notifications.signals import reported
from tracking.services import bounces


@receiver(reported, dispatch_uid="bounces")
def record_bounces(provider: str, applied: Sequence[Applied], **_: object) -> None:
    bounces.record(provider, applied)
