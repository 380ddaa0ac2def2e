"""How far the erasing of old content has come."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from notifications.models.category import Category
from notifications.models.notification import BARE, Notification


class ContentMark(models.Model):
    """Of one category (null: of messages without one) up to which message `stage` is done.

    With other `days` it begins anew: messages that were passed over may be due now.
    """

    class Stage(models.TextChoices):
        CONTENT = "content", "What sensitive messages say, once they have arrived"
        LATE = "late", "The same once more, of those whose key is older than they are"
        ALL = "all", "What messages say, and the addresses they went to"

    id = models.BigAutoField(primary_key=True)
    category = models.ForeignKey(Category, null=True, on_delete=models.CASCADE, related_name="+")
    stage = models.CharField(max_length=10, choices=Stage.choices)
    days = models.PositiveIntegerField()
    upto = models.UUIDField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["category", "stage"], name="content_mark_once", nulls_distinct=False
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.stage} of {self.category_id}"


class ContentHold(models.Model):
    """A message whose content is due to be erased, and that still has to be sent."""

    id = models.BigAutoField(primary_key=True)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, **BARE)
    stage = models.CharField(max_length=10, choices=ContentMark.Stage.choices)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["notification", "stage"], name="content_hold_once")
        ]

    @override
    def __str__(self) -> str:
        return str(self.notification_id)
