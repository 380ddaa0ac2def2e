"""How many messages of each category were sent, bounced and were complained about, by the hour."""

from __future__ import annotations

from django.db import models
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.category import Category


class CategoryDelta(models.Model):
    """What one transaction adds. Only ever inserted, and folded every minute: no two writers wait
    for each other.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    category_id = models.UUIDField()
    sent = models.PositiveIntegerField(default=0)
    bounced = models.PositiveIntegerField(default=0)
    complained = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return str(self.id)


class CategoryHour(models.Model):
    """The sum of an hour; kept for two days."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, db_index=False)
    hour = models.DateTimeField(help_text="When it began.")
    sent = models.PositiveIntegerField(default=0)
    bounced = models.PositiveIntegerField(default=0)
    complained = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-hour"]
        constraints = [
            models.UniqueConstraint(fields=["category", "hour"], name="category_hour_once")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.category_id} {self.hour:%Y-%m-%d %H:00}"
