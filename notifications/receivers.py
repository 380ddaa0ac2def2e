"""What this app itself does when a status changes, inside the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence

from django.dispatch import receiver

from notifications.services import fallback
from notifications.services.status import StatusChange
from notifications.signals import status_changed


@receiver(status_changed, dispatch_uid="later steps")
def hurry_steps(changes: Sequence[StatusChange], **_: object) -> None:
    fallback.hurry(changes)
