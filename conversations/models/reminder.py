from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from conversations.models.conversation import Participant
from conversations.models.entry import Entry


class Reminder(models.Model):
    """That somebody has not read what was written, and is to be told elsewhere when it is due.

    One of each participant, gone with the reading; once they are told nothing is due any more.
    """

    participant = models.OneToOneField(
        Participant, primary_key=True, on_delete=models.CASCADE, related_name="reminder"
    )
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="reminder_due", condition=models.Q(due_at__isnull=False)
            )
        ]

    @override
    def __str__(self) -> str:
        return f"reminder of {self.participant_id}"


class Notice(models.Model):
    """The message that told somebody of a conversation, or brought them an `entry` of it: what comes
    back as its answer goes there.
    """

    notification_id = models.UUIDField(primary_key=True)
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="notices")
    entry = models.ForeignKey(Entry, null=True, on_delete=models.CASCADE, related_name="notices")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    @override
    def __str__(self) -> str:
        return f"notice {self.notification_id}"
