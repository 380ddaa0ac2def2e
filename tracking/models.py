"""What came in from providers, the bounces in it, and the webhooks that go out."""

from __future__ import annotations

import re
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.types import Channel


class WebhookReceipt(models.Model):
    """One verified webhook call, stored raw and once, before anything is done with it."""

    TRIES: ClassVar = 8
    """After so many without success it is set aside."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=50)
    dedupe = models.CharField(
        max_length=64, help_text="SHA-256 of path and body, or of what comes with one body only."
    )
    path = models.CharField(max_length=2000, blank=True, help_text="With its query.")
    body = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "webhook in"
        verbose_name_plural = "webhooks in"
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
    is_forged = models.BooleanField(
        default=False, help_text="The provider's checks speak against its sender."
    )
    has_attachments = models.BooleanField(default=False)
    at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = "answer"
        verbose_name_plural = "answers by email and SMS"
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


class WebhookEndpoint(models.Model):
    """Somebody's address that hears of events. An agent's hears of the agent's own messages only.

    Its secrets are in no row: `webhook_signing` derives them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(
        ApiClient,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name="agent",
        help_text="Whose messages it hears of. Empty: everything.",
    )
    url = models.CharField(max_length=2000, verbose_name="URL")
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Types, or `notification.*` for all of a kind. Empty: all.",
    )
    secret_number = models.PositiveIntegerField(default=1, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "webhook endpoint"
        verbose_name_plural = "webhooks out"

    @override
    def __str__(self) -> str:
        return self.description or str(self.id)


class WebhookDelivery(models.Model):
    """An event for one endpoint: waiting while `next_try_at` is set, done when it is not."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    event_id = models.CharField(max_length=60)
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=200, blank=True)
    body = models.TextField(help_text="A CloudEvent in JSON, as it is signed.")
    tries = models.PositiveIntegerField(default=0)
    round = models.PositiveIntegerField(default=0, help_text="Tries before it was last replayed.")
    next_try_at = models.DateTimeField(null=True, default=timezone.now)
    delivered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP, of the last try.")
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="webhook_delivery_once")
        ]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_by_endpoint"),
            models.Index(
                fields=["endpoint", "next_try_at", "id"],
                name="webhook_delivery_waiting",
                condition=models.Q(next_try_at__isnull=False),
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    @property
    def state(self) -> str:
        if self.next_try_at is not None:
            return "waiting"
        return "delivered" if self.delivered_at else "failed"


class WebhookAttempt(models.Model):
    """One call of an endpoint."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    latency_ms = models.PositiveIntegerField()
    error = models.CharField(max_length=200, blank=True)
    answer = models.CharField(max_length=500, blank=True, help_text="Its beginning.")

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return f"{self.status or 'no answer'} {self.id}"


class Hit(models.Model):
    """That somebody, or some machine, opened an email of ours or followed a link in it.

    Waits here for a few seconds, until it can be seen among its neighbours; then it is an event.
    """

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        CLICKED = "clicked", "Clicked"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    attempt_id = models.UUIDField(db_index=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    url = models.TextField(blank=True, help_text="Of a click: without its query.")
    machine = models.CharField(
        max_length=50, blank=True, help_text="What showed that it was a machine; empty: nothing."
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Progress(models.Model):
    """How far a job has come that looks at every attempt once."""

    name = models.CharField(primary_key=True, max_length=50)
    at = models.DateTimeField(help_text="Everything before it has been looked at.")

    class Meta:
        verbose_name_plural = "progress"

    @override
    def __str__(self) -> str:
        return self.name


class Rollup(models.Model):
    """What happened in one hour to messages that are alike in what their `grain` tells apart; the
    other columns are empty. Which grains there are says `tracking.services.folding`, what `counts`
    holds `tracking.services.rollups`.

    docs/decisions/0012
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    hour = models.DateTimeField(help_text="When it began.")
    grain = models.CharField(max_length=10)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    provider = models.CharField(max_length=50, blank=True, help_text="Empty before the first call.")
    client_id = models.UUIDField(null=True, help_text="The agent.")
    batch_id = models.UUIDField(null=True)
    category_id = models.UUIDField(null=True)
    version_id = models.UUIDField(null=True, help_text="Of the template.")
    variant_id = models.UUIDField(null=True)
    country = models.CharField(max_length=2, blank=True, help_text="Of a telephone number.")
    counts = ArrayField(models.IntegerField())
    cost = models.BigIntegerField(default=0, help_text="In hundred-thousandths of SMS_CURRENCY.")

    class Meta:
        ordering = ["-hour"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("grain", "hour", "channel", "provider", "client_id", "batch_id"),
                    *("category_id", "version_id", "variant_id", "country"),
                ],
                name="rollup_once",
                nulls_distinct=False,
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.grain} {self.hour:%Y-%m-%d %H:00}"


class RollupDelta(models.Model):
    """What one transaction adds. Only ever inserted, by whoever moves deliveries, and folded every
    few seconds: no two writers wait for each other.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    hour = models.DateTimeField()
    groups = models.JSONField(help_text="Words of `rollups.Key` to counts by name.")

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return str(self.id)


class FailedMessage(models.Model):
    """An urgent or essential message of which a delivery failed for good; kept for a day.

    No field holds anybody's personal data.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    notification_id = models.UUIDField()
    category = models.CharField(max_length=64, blank=True)
    error = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return str(self.notification_id)
