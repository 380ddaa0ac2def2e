from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models.category import Category
from notifications.types import Channel, Lane
from templates_app.models import TemplateVersion


class Batch(models.Model):
    """One bulk request: what its messages share, how fast they go out, and how far they got.

    Its messages' rows hold only what differs: a window merges the row's data over `data`. What
    they share never changes once the batch is made, so a worker may keep it.
    """

    class State(models.TextChoices):
        RECEIVING = "receiving", "Receiving"
        AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        HALTED = "halted", "Halted"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        ABORTED = "aborted", "Aborted"

    class Action(models.TextChoices):
        PAUSE = "pause", "Pause"
        RESUME = "resume", "Resume"
        CANCEL = "cancel", "Cancel"
        APPROVE = "approve", "Approve"

    MOVES = {
        Action.PAUSE: {State.RUNNING: State.PAUSED},
        Action.RESUME: {State.PAUSED: State.RUNNING, State.HALTED: State.RUNNING},
        Action.CANCEL: {
            State.RECEIVING: State.ABORTED,
            State.AWAITING_APPROVAL: State.CANCELLED,
            State.RUNNING: State.CANCELLED,
            State.PAUSED: State.CANCELLED,
            State.HALTED: State.CANCELLED,
        },
        Action.APPROVE: {State.AWAITING_APPROVAL: State.RUNNING},
    }
    """What each action makes of each state; where it says nothing, the action is refused."""

    HOLDING: ClassVar = frozenset(
        {State.RECEIVING, State.AWAITING_APPROVAL, State.PAUSED, State.HALTED}
    )
    """States in which its work waits."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=State.choices, default=State.RECEIVING)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it is in this state.")

    template_version = models.ForeignKey(
        TemplateVersion, null=True, on_delete=models.PROTECT, related_name="+"
    )
    content = models.JSONField(null=True, help_text="Inline parts, where no template is used.")
    data = models.JSONField(null=True, help_text="Null: the content is sent literally.")
    channels = ArrayField(
        models.CharField(max_length=10, choices=Channel.choices), default=list, blank=True
    )
    category = models.ForeignKey(Category, null=True, on_delete=models.PROTECT, related_name="+")
    priority = models.CharField(max_length=10, choices=Lane.choices, default=Lane.BULK)
    locale = models.CharField(max_length=35, blank=True)
    agent_id = models.CharField(max_length=100, blank=True)
    reference = models.CharField(max_length=200, blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    reply_to = models.CharField(max_length=320, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    composer = models.CharField(
        max_length=150, blank=True, help_text="The member of staff who composed it in the console."
    )
    send_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    pace = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="Messages a second, evened out over two; empty: as fast as the providers allow.",
    )
    canary = models.JSONField(
        null=True,
        help_text="Percent that goes first, seconds to wait, percent of failures that may be; "
        "then how many were tried and failed, and whether it passed.",
    )
    canary_until = models.DateTimeField(null=True)

    received = models.PositiveIntegerField(default=0, help_text="Rows read.")
    rejected = models.PositiveIntegerField(default=0, help_text="Rows that were refused.")
    counts = models.JSONField(default=dict, help_text="Deliveries by state, folded from deltas.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    heard_at = models.DateTimeField(
        default=timezone.now, help_text="When rows were last stored: a dead upload falls silent."
    )
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True, help_text="When what it said was erased.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["client", "-id"], name="batch_by_client"),
            models.Index(
                fields=["state"],
                name="batch_unfinished",
                condition=models.Q(finished_at__isnull=True),
            ),
            models.Index(
                fields=["finished_at"],
                name="batch_with_content",
                condition=models.Q(erased_at__isnull=True),
            ),
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)


class BatchDelta(models.Model):
    """How one transaction changed a batch's counts by state. Only ever inserted, by whoever moves
    deliveries, and folded into the batch every few seconds: no two writers wait for each other.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    counts = models.JSONField(help_text="State to how many more (or fewer) deliveries are in it.")

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return str(self.id)


class BatchRejection(models.Model):
    """A row of an upload that was refused, and why."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, related_name="rejections", db_index=False
    )
    row = models.PositiveIntegerField(help_text="Its number in the upload, from 1.")
    reference = models.CharField(max_length=200, blank=True)
    errors = models.JSONField(help_text="As in a problem document: field, code, message.")

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["batch", "id"], name="rejection_by_batch")]

    @override
    def __str__(self) -> str:
        return f"row {self.row}"
