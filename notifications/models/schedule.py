from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.timetable import Missed, Timetable


class Schedule(models.Model):
    """A message or a batch that is sent again and again, as a cron expression says."""

    Missed = Missed

    class Kind(models.TextChoices):
        NOTIFICATION = "notification", "Notification"
        BATCH = "batch", "Batch"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    cron = models.CharField(max_length=100, help_text="Minute, hour, day, month, weekday.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA name.")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    request = models.JSONField(help_text="The body that is submitted at each tick.")
    missed = models.CharField(max_length=10, choices=Missed.choices, default=Missed.ONCE)
    enabled = models.BooleanField(default=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, help_text="The next tick; null: there is none.")
    last_at = models.DateTimeField(null=True, help_text="The last tick that was kept.")
    last_error = models.JSONField(null=True, help_text="Why the last tick sent nothing.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], name="schedule_name_once")
        ]
        indexes = [
            models.Index(fields=["next_at"], name="schedule_due", condition=models.Q(enabled=True))
        ]

    @override
    def __str__(self) -> str:
        return self.name

    @property
    def timetable(self) -> Timetable:
        return Timetable(self.cron, self.time_zone, self.ends_at)
