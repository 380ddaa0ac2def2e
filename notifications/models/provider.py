from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class ProviderState(models.Model):
    """What all processes know of one provider: whether staff switched it off, and its breaker."""

    class Breaker(models.TextChoices):
        CLOSED = "closed", "Closed"
        OPEN = "open", "Open"

    name = models.CharField(max_length=50, primary_key=True)
    enabled = models.BooleanField(default=True)
    breaker = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED)
    failures = models.PositiveIntegerField(default=0, help_text="In a row, up to now.")
    opened_until = models.DateTimeField(null=True, blank=True)
    probe_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)
    weight = models.PositiveSmallIntegerField(
        default=0,
        help_text="Its share among providers with a weight, which go first; 0: its turn comes in "
        "the order of the settings.",
    )
    health = models.PositiveSmallIntegerField(
        default=100, help_text="Percent of its weight that it gets now: less after trouble."
    )
    health_changed_at = models.DateTimeField(null=True, blank=True)
    limit_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="Instead of the limit in the settings."
    )
    limit_seconds = models.FloatField(null=True, blank=True)
    quota_per_second = models.FloatField(
        null=True, blank=True, help_text="What the vendor lets our account send, as it says itself."
    )
    quota_per_day = models.FloatField(null=True, blank=True, help_text="Empty: without limit.")
    quota_sent = models.FloatField(null=True, blank=True, help_text="In the 24 hours before.")
    quota_trouble = models.CharField(max_length=200, blank=True)
    quota_at = models.DateTimeField(null=True, blank=True, help_text="When it said so.")

    class Meta:
        ordering = ["name"]
        verbose_name = "provider"

    @override
    def __str__(self) -> str:
        return self.name


class ProviderChange(models.Model):
    """The history of a provider's state, with reasons."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.ForeignKey(ProviderState, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    was = models.CharField(max_length=20)
    now = models.CharField(max_length=20)
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return f"{self.provider_id}: {self.was} to {self.now}"
