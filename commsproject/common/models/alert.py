"""What is wrong, when that is told, and to whom."""

from __future__ import annotations

from enum import Enum, auto
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class Severity(models.TextChoices):
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class Unit(Enum):
    """What the value of a measure is."""

    SHARE = auto()
    SECONDS = auto()
    NUMBER = auto()


class AlertRule(models.Model):
    """When something that is measured is told to staff, and when it is well again."""

    class Measure(models.TextChoices):
        """Each with its unit, where that is not a number. The label says what the value is, the words
        in brackets what there is one of each for.
        """

        unit: Unit

        def __new__(cls, value: str, unit: Unit = Unit.NUMBER) -> Self:
            made = str.__new__(cls, value)
            made._value_, made.unit = value, unit
            return made

        FAILURE_RATE = "failure_rate", Unit.SHARE, "Share of deliveries that failed (channel)"
        CALL_FAILURES = (
            *("call_failures", Unit.SHARE),
            "Share of a provider's calls that failed (provider)",
        )
        PROVIDER_STATE = "provider_state", "1 while a provider's breaker is open (provider)"
        QUEUE_AGE = "queue_age", Unit.SECONDS, "Seconds that the first delivery waits (lane)"
        DEAD_LETTERS = "dead_letters", "Deliveries given up (channel)"
        BOUNCE_RATE = "bounce_rate", Unit.SHARE, "Share of messages that bounced (provider)"
        COMPLAINT_RATE = (
            *("complaint_rate", Unit.SHARE),
            "Share of messages marked as spam (provider)",
        )
        SPEND = "spend", Unit.SHARE, "Share of the day's money for text messages that was spent"
        NO_RECEIPTS = "no_receipts", Unit.SHARE, "Share of messages without a receipt (provider)"
        SILENCE = "silence", Unit.SHARE, "Share that is missing of what is usual at this time"
        MESSAGE_FAILED = "message_failed", "Urgent and essential messages that failed (category)"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.SlugField(max_length=30, unique=True)
    name = models.CharField(max_length=100)
    measure = models.CharField(max_length=20, choices=Measure.choices)
    only = models.CharField(
        max_length=64,
        blank=True,
        help_text="One channel, provider, lane or category, as the measure has it. Empty: each.",
    )
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    window_seconds = models.PositiveIntegerField(
        "window",
        default=300,
        validators=[MinValueValidator(60), MaxValueValidator(86_400)],
        help_text="Seconds that are looked at, 60 to 86,400.",
    )
    bound = models.FloatField(
        validators=[MinValueValidator(0)], help_text="From this value on it is told. 0.1 is 10 %."
    )
    recovery = models.FloatField(
        validators=[MinValueValidator(0)],
        help_text="Up to this value it is well again; less than the bound.",
    )
    minimum = models.PositiveIntegerField(
        default=0, help_text="Messages in the window, below which a share says nothing."
    )
    cool_down_seconds = models.PositiveIntegerField(
        "cool-down",
        default=1800,
        validators=[MaxValueValidator(86_400)],
        help_text="Seconds in which nobody is told of the same thing again.",
    )
    enabled = models.BooleanField(default=True)
    last_error = models.CharField(max_length=100, blank=True, editable=False)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recovery__lt=models.F("bound")), name="alert_rule_recovers"
            )
        ]

    @override
    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """Something that staff should look at, from when it began until it is well again.

    `key` says what it is about (`provider.ses.quota`); no field holds anybody's personal data.
    """

    class Told(models.TextChoices):
        """What its targets were last told."""

        NOTHING = "", "Nothing"
        WARNING = "warning", "A warning"
        CRITICAL = "critical", "That it is critical"
        RESOLVED = "resolved", "That it is well again"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=100)
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="+")
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=1000, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    told = models.CharField(max_length=10, choices=Told.choices, default=Told.NOTHING, blank=True)
    told_at = models.DateTimeField(null=True, help_text="When it was last told that it is so.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(resolved_at__isnull=True), name="alert_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["key", "-told_at"], name="alert_last_told"),
            models.Index(
                fields=["id"],
                name="alert_recovery_untold",
                condition=models.Q(resolved_at__isnull=False, told__in=["warning", "critical"]),
            ),
        ]

    @override
    def __str__(self) -> str:
        return self.title


class AlertTarget(models.Model):
    """Who is told of alerts. The address is a secret: many hold a token."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    sealed = models.BinaryField(editable=False)
    place = models.CharField(
        max_length=255, editable=False, help_text="What may be shown of the address."
    )
    fingerprint = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of one that the settings name."
    )
    least = models.CharField(
        "told of",
        max_length=10,
        choices=[(Severity.WARNING, "Everything"), (Severity.CRITICAL, "What is critical")],
        default=Severity.WARNING,
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "target of alerts"
        verbose_name_plural = "targets of alerts"
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=~models.Q(fingerprint=""),
                name="alert_target_of_settings_once",
            )
        ]

    @override
    def __str__(self) -> str:
        return self.name


class AlertNotice(models.Model):
    """What one target is told: waiting while `next_try_at` is set, done when it is not."""

    class Kind(models.TextChoices):
        RAISED = "raised", "Raised"
        RESOLVED = "resolved", "Resolved"
        TEST = "test", "Test"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    alert = models.ForeignKey(
        Alert,
        null=True,
        on_delete=models.CASCADE,
        related_name="notices",
        help_text="Null: a test.",
    )
    target = models.ForeignKey(AlertTarget, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, help_text="Of the last try.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="alert_notice_waiting",
                condition=models.Q(next_try_at__isnull=False),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class AlertDelta(models.Model):
    """What one transaction adds to a count. Only ever inserted, and folded every few seconds: no two
    writers wait for each other.
    """

    id = models.BigAutoField(primary_key=True)
    what = models.CharField(max_length=20)
    subject = models.CharField(max_length=64, blank=True)
    n = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return f"{self.what} {self.subject}"


class AlertCount(models.Model):
    """How many in a minute; kept for as long as rules look back."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField(help_text="When it began.")
    what = models.CharField(max_length=20)
    subject = models.CharField(max_length=64, blank=True)
    n = models.PositiveIntegerField()

    class Meta:
        ordering = ["-minute"]
        constraints = [
            models.UniqueConstraint(fields=["minute", "what", "subject"], name="alert_count_once")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.what} {self.subject}"
