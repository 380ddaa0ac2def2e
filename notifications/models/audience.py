"""What the engine notes of a message that does not simply go out: caps, later steps, digests."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.category import Category
from notifications.models.delivery import Delivery
from notifications.models.notification import Notification
from notifications.models.recipient import Recipient
from notifications.types import Channel, Unless


class CappedMessage(models.Model):
    """A message that counts against its category's daily cap; kept for two days."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, db_index=False)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, db_index=False)
    notification = models.OneToOneField(Notification, on_delete=models.CASCADE)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["recipient", "category", "at"], name="capped_by_person"),
        ]

    @override
    def __str__(self) -> str:
        return str(self.notification_id)


class FallbackStep(models.Model):
    """A delivery that is made only where the ones before it did not do."""

    delivery = models.OneToOneField(Delivery, primary_key=True, on_delete=models.CASCADE)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField(help_text="1 for the first step after the start.")
    unless = models.CharField(max_length=10, choices=Unless.choices)
    due_at = models.DateTimeField(help_text="Sooner where all before it have failed for good.")
    work_id = models.UUIDField(help_text="Of the work that it was stored with.")

    class Meta:
        ordering = ["notification", "number"]

    @override
    def __str__(self) -> str:
        return f"step {self.number} of {self.notification_id}"


class Digest(models.Model):
    """Messages of one category to one person on one channel that become one message.

    Open until `due_at`; the first of its deliveries that comes to a window then carries them all.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE)
    category = models.ForeignKey(Category, on_delete=models.CASCADE)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    opened_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    carried_by = models.UUIDField(null=True, help_text="The delivery that carries it.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "category", "channel"],
                condition=models.Q(carried_by__isnull=True),
                name="one_open_digest",
            )
        ]

    @override
    def __str__(self) -> str:
        return f"digest {self.id}"


class DigestEntry(models.Model):
    """A delivery that waits for its digest."""

    delivery = models.OneToOneField(Delivery, primary_key=True, on_delete=models.CASCADE)
    digest = models.ForeignKey(Digest, on_delete=models.CASCADE, related_name="entries")

    class Meta:
        ordering = ["delivery"]

    @override
    def __str__(self) -> str:
        return str(self.delivery_id)
