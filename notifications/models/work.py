from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models.batch import Batch
from notifications.types import Channel, Lane


class Work(models.Model):
    """The queue: one row is one chunk of deliveries that are due together.

    The only table the engine claims from. A claim writes `lease_until`, `token` and `claims`,
    none of them indexed; whoever completes must still hold `token`. The row is deleted when done,
    so the table stays small whatever is stored elsewhere.
    """

    class Kind(models.TextChoices):
        SEND = "send", "Send"
        RECONCILE = "reconcile", "Settle unknown outcomes"

    LIMIT: ClassVar = 500
    """Deliveries in one row, at most."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SEND)
    lane = models.CharField(max_length=10, choices=Lane.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    client = models.ForeignKey(
        ApiClient, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    batch = models.ForeignKey(
        Batch, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    flow = models.UUIDField(
        help_text="The batch, or the agent where there is none: an agent's flows take turns."
    )
    ids = ArrayField(models.UUIDField(), help_text="The deliveries, 500 at most.")
    size = models.GeneratedField(
        expression=models.Func("ids", function="cardinality"),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
        help_text="Deliveries named. Counting them means reading the array: ten times as slow.",
    )
    due_at = models.DateTimeField(default=timezone.now)
    throttled_since = models.DateTimeField(
        null=True, help_text="Since when it has waited for leave of a limit, if it does."
    )
    held = models.BooleanField(default=False, help_text="Not to be claimed: its batch waits.")
    suspect = models.BooleanField(
        default=False, help_text="Two workers died with it: claimed alone, by an idle process."
    )
    lease_until = models.DateTimeField(null=True)
    token = models.BigIntegerField(default=0)
    claims = models.PositiveIntegerField(
        default=0, help_text="Claims since its last progress that were not given back."
    )

    class Meta:
        ordering = ["due_at"]
        verbose_name = "chunk of the queue"
        verbose_name_plural = "in the queue"
        indexes = [
            models.Index(
                fields=["lane", "client", "flow", "due_at"],
                name="work_claimable",
                condition=models.Q(held=False, suspect=False),
            ),
            models.Index(
                fields=["lane", "due_at"], name="work_suspect", condition=models.Q(suspect=True)
            ),
            models.Index(
                fields=["batch"], name="work_by_batch", condition=models.Q(batch__isnull=False)
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
