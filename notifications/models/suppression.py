from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel, SuppressionReason


class Suppression(models.Model):
    """An address that must not be written to, and why: one entry for each reason and scope.

    What holds is the keyed hash: the readable address beside it is erased with the person, the
    entry stays.
    """

    ALL = "*"
    """The scope that covers every category; any other scope is a category's key."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address_hash = models.CharField(max_length=64)
    address = models.CharField(max_length=320, blank=True, help_text="Empty once it is erased.")
    scope = models.CharField(max_length=64, default=ALL)
    reason = models.CharField(max_length=20, choices=SuppressionReason.choices)
    source = models.CharField(max_length=100, blank=True)
    delivery_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "opt-out or block"
        verbose_name_plural = "opt-outs and blocks"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "address_hash", "scope", "reason"], name="suppression_once"
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.channel} {self.get_reason_display()}"


class LiftedSuppression(models.Model):
    """That an entry was taken off the list: by whom, and why. Kept as evidence, never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address_hash = models.CharField(max_length=64, db_index=True)
    scope = models.CharField(max_length=64)
    reason = models.CharField(max_length=20, choices=SuppressionReason.choices)
    since = models.DateTimeField()
    lifted_by = models.CharField(max_length=200)
    why = models.CharField(max_length=500)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return f"{self.channel} {self.get_reason_display()}, lifted {self.at:%Y-%m-%d}"
