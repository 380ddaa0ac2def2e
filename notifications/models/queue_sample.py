from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Lane


class QueueSample(models.Model):
    """One lane of the queue at one moment; taken each minute. Counts are deliveries."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=timezone.now)
    lane = models.CharField(max_length=10, choices=Lane.choices)
    due = models.PositiveIntegerField(default=0, help_text="Waiting for a worker.")
    oldest_seconds = models.FloatField(default=0, help_text="How long the first of them waits.")
    in_flight = models.PositiveIntegerField(default=0, help_text="Claimed by a worker.")
    throttled = models.PositiveIntegerField(default=0, help_text="Waiting for leave of a limit.")
    throttled_seconds = models.FloatField(default=0, help_text="How long the first of these waits.")
    later = models.PositiveIntegerField(default=0, help_text="Due at a later time.")
    held = models.PositiveIntegerField(default=0, help_text="Of batches that are paused or wait.")
    sent = models.PositiveIntegerField(default=0, help_text="Calls accepted in the last minute.")
    retried = models.PositiveIntegerField(
        default=0, help_text="Calls of the last minute, not first ones."
    )
    dead = models.PositiveIntegerField(default=0, help_text="Given up in the last minute.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["lane", "-at"], name="queue_sample_by_lane")]

    @override
    def __str__(self) -> str:
        return f"{self.lane} {self.at:%H:%M}"
