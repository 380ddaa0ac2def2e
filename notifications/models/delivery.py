from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.notification import BARE, Notification
from notifications.states import State
from notifications.types import Channel, ErrorClass, EventType


class Delivery(models.Model):
    """A notification on one channel to one address.

    `state` and all that completion writes are in no index, and the table keeps half of each page
    free (migration 0001), so that an update stays on its page and touches no index.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False
    )
    replay_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, **BARE)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address = models.CharField(max_length=320)
    address_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(max_length=200, blank=True)
    attempts_made = models.PositiveIntegerField(
        default=0, help_text="Provider calls; equals the number of attempt rows."
    )
    provider = models.CharField(max_length=50, blank=True)
    provider_ref = models.CharField(max_length=255, blank=True)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["address_hash", "-id"], name="delivery_by_address"),
            models.Index(
                fields=["replay_of"],
                name="delivery_by_replayed",
                condition=models.Q(replay_of__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="delivery_state_known"
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.channel} {self.id}"


class Attempt(models.Model):
    """One provider call for one delivery: written before the call, completed after it."""

    class State(models.TextChoices):
        CALLING = "calling", "Calling"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        THROTTLED = "throttled", "Throttled"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    work_id = models.UUIDField()
    token = models.BigIntegerField(help_text="The claim of the work under which the call was made.")
    number = models.PositiveIntegerField()
    provider = models.CharField(max_length=50)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CALLING)
    error_class = models.CharField(max_length=20, choices=ErrorClass.choices, blank=True)
    code = models.CharField(max_length=100, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    provider_ref = models.CharField(max_length=255, blank=True)
    segments = models.PositiveSmallIntegerField(null=True, help_text="Of a text message.")
    cost = models.DecimalField(
        max_digits=10, decimal_places=5, null=True, help_text="Estimated, in SMS_CURRENCY."
    )
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["id"],
                name="attempt_with_cost",
                condition=models.Q(cost__isnull=False),
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["calling", "accepted", "rejected", "throttled", "failed", "unknown"]
                ),
                name="attempt_state_known",
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.provider} {self.id}"


class Event(models.Model):
    """One entry of a delivery's timeline that its attempts do not already tell.

    `dedupe` holds the provider's own event id, so a webhook that comes twice is stored once.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="events")
    type = models.CharField(max_length=20, choices=EventType.choices)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)
    provider = models.CharField(max_length=50, blank=True)
    attempt_id = models.UUIDField(null=True)
    dedupe = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is not unique, "" is
    code = models.CharField(max_length=100, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "dedupe"], name="event_once_per_provider")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class DeadLetter(models.Model):
    """A delivery that was given up: why, and what became of it since."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="dead_letter")
    error_class = models.CharField(max_length=20, choices=ErrorClass.choices, blank=True)
    code = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200)
    providers = ArrayField(models.CharField(max_length=50), default=list)
    address = models.CharField(
        max_length=320, blank=True, help_text="Where a replay goes instead; empty: as before."
    )
    data = models.JSONField(null=True, help_text="What a replay says instead; null: as before.")
    created_at = models.DateTimeField(default=timezone.now)
    replayed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return str(self.id)
