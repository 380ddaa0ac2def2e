"""What came in from providers, and the bounces in it."""

from __future__ import annotations

import re

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel


class WebhookReceipt(models.Model):
    """One verified webhook call, stored raw and once, before anything is done with it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=50)
    dedupe = models.CharField(max_length=64, help_text="SHA-256 of path and body.")
    path = models.CharField(max_length=2000, blank=True, help_text="With its query.")
    body = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "dedupe"], name="webhook_receipt_once")
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="webhook_receipt_waiting",
                condition=models.Q(processed_at__isnull=True),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.provider} {self.id}"


class InboundMessage(models.Model):
    """A message that a person sent to us, stored once."""

    NUMBER = r"^\+[1-9][0-9]{6,14}$"
    """What the sender of a text message looks like where it is somebody's telephone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=50)
    dedupe = models.CharField(max_length=200)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    sender = models.CharField(max_length=320)
    sender_hash = models.CharField(max_length=64, db_index=True)
    to = models.CharField(max_length=320)
    subject = models.CharField(max_length=998, blank=True)
    text = models.TextField(blank=True)
    notification_id = models.UUIDField(null=True, help_text="What it answers, where that is known.")
    wish = models.CharField(max_length=10, blank=True, help_text="stop, start or help.")
    is_automatic = models.BooleanField(default=False)
    has_attachments = models.BooleanField(default=False)
    at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        permissions = [("read_inboundmessage", "Can read what people wrote")]
        constraints = [
            models.UniqueConstraint(fields=["provider", "dedupe"], name="inbound_message_once")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.id}"

    @property
    def is_from_number(self) -> bool:
        return re.match(self.NUMBER, self.sender) is not None


class Bounce(models.Model):
    """A message that came back, or was complained about."""

    class Kind(models.TextChoices):
        HARD = "hard", "Hard bounce"
        SOFT = "soft", "Soft bounce"
        BLOCK = "block", "Block"
        COMPLAINT = "complaint", "Spam complaint"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery_id = models.UUIDField(db_index=True)
    event_id = models.UUIDField(unique=True)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address_hash = models.CharField(max_length=64, db_index=True)
    category = models.CharField(max_length=64, blank=True, help_text="Its key.")
    sender = models.CharField(max_length=100, blank=True, help_text="The agent's own id.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    provider = models.CharField(max_length=50)
    code = models.CharField(max_length=100, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"
