"""What this app hears of messages that come in."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.dispatch import receiver

from conversations.services import answers
from tracking.signals import inbound_received


@receiver(inbound_received, dispatch_uid="conversation answers")
def take_answers(ids: Sequence[UUID], **_: object) -> None:
    answers.take(ids)
