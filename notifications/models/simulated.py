from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel


class SimulatedMessage(models.Model):
    """A message a simulator carried: what would have gone out, and the receipts still to come."""

    class Manner(models.TextChoices):
        """How its receipts are posted."""

        NORMAL = "normal", "As they should be"
        DUPLICATED = "duplicated", "Twice"
        FORGED = "forged", "With a wrong signature"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=50, default="simulator")
    attempt_id = models.UUIDField(null=True, help_text="Null for plain Django mail.")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address = models.CharField(max_length=320)
    parts = models.JSONField()
    headers = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    receipts = models.JSONField(default=list, help_text="Event types still to be posted.")
    receipts_due_at = models.DateTimeField(null=True)
    manner = models.CharField(max_length=10, choices=Manner.choices, default=Manner.NORMAL)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = "simulated message"
        verbose_name_plural = "simulator mailbox"
        indexes = [
            models.Index(
                fields=["receipts_due_at"],
                name="simulated_receipts_due",
                condition=models.Q(receipts_due_at__isnull=False),
            )
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)


class SimulatorRule(models.Model):
    """What a simulator does wrong, with which messages, and for how long. The first that fits a
    message counts.
    """

    class Answer(models.TextChoices):
        ACCEPT = "accept", "Take it"
        THROTTLE = "throttle", "429, with Retry-After"
        ERROR = "error", "An error: not taken"
        HANG = "hang", "No answer: not taken"
        RESET = "reset", "The connection breaks: not taken"
        ACCEPT_THEN_ERROR = "accept_then_error", "Taken, then an error 500"
        REFUSE = "refuse", "Refused for good"

    class Receipts(models.TextChoices):
        NORMAL = "normal", "As they should be"
        LOST = "lost", "Lost"
        LATE = "late", "Late"
        DUPLICATED = "duplicated", "Twice"
        REORDERED = "reordered", "In the wrong order"
        FORGED = "forged", "With a wrong signature"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=50, blank=True, help_text="Empty: every simulator.")
    channel = models.CharField(
        max_length=10, blank=True, choices=Channel.choices, help_text="Empty: every channel."
    )
    address = models.CharField(
        max_length=320,
        blank=True,
        help_text="An address, or a pattern such as *@slow.example or +4930*. Empty: every address.",
    )
    answer = models.CharField(max_length=20, choices=Answer.choices, default=Answer.ACCEPT)
    status = models.PositiveSmallIntegerField(
        default=503,
        validators=[MinValueValidator(500), MaxValueValidator(599)],
        help_text="Of an error, 500 to 599. After 503 the outcome is known, after others it is not.",
    )
    retry_after = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="Seconds that a 429 asks for, 0.1 to 3600.",
    )
    latency = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0), MaxValueValidator(60)],
        help_text="Seconds before any answer, up to 60. Beyond the read timeout it is none.",
    )
    receipts = models.CharField(max_length=12, choices=Receipts.choices, default=Receipts.NORMAL)
    receipts_after = models.FloatField(
        default=30.0,
        validators=[MinValueValidator(0), MaxValueValidator(86_400)],
        help_text="Seconds, for late receipts, up to a day.",
    )
    percent = models.PositiveSmallIntegerField(
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Of the messages that fit, so many meet it: a brownout.",
    )
    messages = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="How many messages meet it from now on. Empty: without end.",
    )
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is removed.")
    met = models.PositiveIntegerField(default=0, help_text="Messages that have met it.")

    class Meta:
        ordering = ["id"]
        verbose_name = "simulator rule"
        verbose_name_plural = "simulator rules"

    @override
    def __str__(self) -> str:
        return f"{self.get_answer_display()} at {self.provider or 'every simulator'}"
