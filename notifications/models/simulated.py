from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel


class SimulatedMessage(models.Model):
    """A message the simulator carried: what would have gone out, and the receipts still to come."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    attempt_id = models.UUIDField(null=True, help_text="Null for plain Django mail.")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address = models.CharField(max_length=320)
    parts = models.JSONField()
    headers = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    receipts = models.JSONField(default=list, help_text="Event types still to be posted.")
    receipts_due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = "simulated message"
        verbose_name_plural = "simulator mailbox"
        indexes = [
            models.Index(
                fields=["receipts_due_at"],
                name="simulated_receipts_due",
                condition=models.Q(receipts_due_at__isnull=False),
            )
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)
