"""What others are to hear of."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class OutboxEvent(models.Model):
    """Something that others are to hear of, written in the transaction in which it happened.

    One row for all that happened alike in that transaction: `items` holds the data of each. Deleted
    once it is published. `number` is given at the insert, while what changed is locked.
    """

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(default=new_id, editable=False)
    type = models.CharField(max_length=60)
    items = models.JSONField()
    at = models.DateTimeField(default=timezone.now)
    is_handed = models.BooleanField(
        default=False, help_text="Those inside this installation have heard of it."
    )

    class Meta:
        ordering = ["number"]
        indexes = [
            models.Index(
                fields=["number"],
                name="outbox_event_new",
                condition=models.Q(is_handed=False),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.id}"
