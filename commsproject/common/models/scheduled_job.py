"""What runs when."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override


class ScheduledJob(models.Model):
    """A periodic job of the scheduler: when it is due next, how its last run ended."""

    name = models.CharField(max_length=100, primary_key=True)
    next_run_at = models.DateTimeField(default=timezone.now)
    last_run_at = models.DateTimeField(null=True)
    last_duration_ms = models.PositiveIntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name
