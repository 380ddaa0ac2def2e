"""Who may call, and what was already answered."""

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

    @override
    def __str__(self) -> str:
        return str(self.id)
