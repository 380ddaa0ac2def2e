"""Rows that every app needs: who may call, what was already answered, what runs when, what is wrong."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class ApiClient(models.Model):
    """An agent: a service or program that calls the API. The unit of scope, quota and fairness."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100, unique=True)
    is_active = models.BooleanField(
        default=True, help_text="An inactive agent's keys are all refused; nothing is deleted."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "agent"

    @override
    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """One key of an agent. The secret is shown once; only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    @override
    def __str__(self) -> str:
        return f"{self.client.name} ({self.prefix})"


class IdempotencyKey(models.Model):
    """What a client's `Idempotency-Key` was first used for, and what it was answered.

    Written in the transaction of its effect, so a key exists exactly when its effect does.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="idempotency_key_once")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    @override
    def __str__(self) -> str:
        return str(self.id)


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


class Alert(models.Model):
    """Something that staff should look at, from when it began until it is well again.

    `key` says what it is about (`provider.ses.quota`); no field holds anybody's personal data.
    """

    class Severity(models.TextChoices):
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=100)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=1000, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(resolved_at__isnull=True), name="alert_open_once"
            )
        ]

    @override
    def __str__(self) -> str:
        return self.title


class LiveTicket(models.Model):
    """Leave to open one socket, for 30 seconds and once: whoever redeems it deletes the row.

    What it says of the person is sealed by the ticket itself, of which we keep only the digest.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    sealed = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="live_ticket_age")]

    @override
    def __str__(self) -> str:
        return "a ticket"


class LastSeen(models.Model):
    """When an end user was last connected to the socket, unless the person hides it."""

    user_id = models.CharField(max_length=255, primary_key=True)
    seen_at = models.DateTimeField(null=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "last seen"

    @override
    def __str__(self) -> str:
        return self.user_id


class OutboxEvent(models.Model):
    """Something that others are to hear of, written in the transaction in which it happened.

    One row for all that happened alike in that transaction: `items` holds the data of each. Deleted
    once it is published.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    type = models.CharField(max_length=60)
    items = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.id}"
