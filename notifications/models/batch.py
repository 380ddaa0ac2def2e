from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient


class Batch(models.Model):
    """One bulk request: what its messages share, and whether they may go out."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "Receiving"
        AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        HALTED = "halted", "Halted"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        ABORTED = "aborted", "Aborted"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=State.choices, default=State.RECEIVING)
    content = models.JSONField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"

    @override
    def __str__(self) -> str:
        return str(self.id)
