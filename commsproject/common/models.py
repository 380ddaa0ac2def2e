"""Rows that every app needs: who may call, what was already answered, what runs when, what is wrong."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class ApiClient(models.Model):
    """An agent: a service or program that calls the API. The unit of scope, quota and fairness."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100, unique=True)
    is_active = models.BooleanField(
        default=True, help_text="An inactive agent's keys are all refused; nothing is deleted."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "agent"

    @override
    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """One key of an agent. The secret is shown once; only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    @override
    def __str__(self) -> str:
        return f"{self.client.name} ({self.prefix})"


class IdempotencyKey(models.Model):
    """What a client's `Idempotency-Key` was first used for, and what it was answered.

    Written in the transaction of its effect, so a key exists exactly when its effect does.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="idempotency_key_once")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    @override
    def __str__(self) -> str:
        return str(self.id)


class ScheduledJob(models.Model):
    """A periodic job of the scheduler: when it is due next, how its last run ended."""

    name = models.CharField(max_length=100, primary_key=True)
    next_run_at = models.DateTimeField(default=timezone.now)
    last_run_at = models.DateTimeField(null=True)
    last_duration_ms = models.PositiveIntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name


class Severity(models.TextChoices):
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class AlertRule(models.Model):
    """When something that is measured is told to staff, and when it is well again."""

    class Measure(models.TextChoices):
        """The label says what the value is, the words in brackets what there is one of each for."""

        FAILURE_RATE = "failure_rate", "Share of deliveries that failed (channel)"
        CALL_FAILURES = "call_failures", "Share of a provider's calls that failed (provider)"
        PROVIDER_STATE = "provider_state", "1 while a provider's breaker is open (provider)"
        QUEUE_AGE = "queue_age", "Seconds that the first delivery waits (lane)"
        DEAD_LETTERS = "dead_letters", "Deliveries given up (channel)"
        BOUNCE_RATE = "bounce_rate", "Share of messages that bounced (provider)"
        COMPLAINT_RATE = "complaint_rate", "Share of messages marked as spam (provider)"
        SPEND = "spend", "Share of the day's money for text messages that was spent"
        NO_RECEIPTS = "no_receipts", "Share of messages without a receipt (provider)"
        SILENCE = "silence", "Share that is missing of what is usual at this time"
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


class LiveTicket(models.Model):
    """Leave to open one socket, for 30 seconds and once: whoever redeems it deletes the row.

    What it says of the person is sealed by the ticket itself, of which we keep only the digest.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    sealed = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="live_ticket_age")]

    @override
    def __str__(self) -> str:
        return "a ticket"


class LastSeen(models.Model):
    """When an end user was last connected to the socket, unless the person hides it."""

    user_id = models.CharField(max_length=255, primary_key=True)
    seen_at = models.DateTimeField(null=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "last seen"

    @override
    def __str__(self) -> str:
        return self.user_id


class OutboxEvent(models.Model):
    """Something that others are to hear of, written in the transaction in which it happened.

    One row for all that happened alike in that transaction: `items` holds the data of each. Deleted
    once it is published. `number` is given at the insert, while what changed is locked.
    """

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(default=new_id, editable=False)
    type = models.CharField(max_length=60)
    items = models.JSONField()
    at = models.DateTimeField(default=timezone.now)
    is_handed = models.BooleanField(
        default=False, help_text="Those inside this installation have heard of it."
    )

    class Meta:
        ordering = ["number"]
        indexes = [
            models.Index(
                fields=["number"],
                name="outbox_event_new",
                condition=models.Q(is_handed=False),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class PersonalDataJob(models.Model):
    """A request for all that is known of a person, or for its erasure, done in small steps.

    `user_id` and `names` are there until it is done; what stays is `subject`, a keyed hash.
    """

    class Kind(models.TextChoices):
        EXPORT = "export", "Export"
        ERASURE = "erasure", "Erasure"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    subject = models.CharField(max_length=64)
    client = models.ForeignKey(
        ApiClient, null=True, on_delete=models.PROTECT, related_name="+", help_text="Null: staff."
    )
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    user_id = models.CharField(max_length=200, blank=True)
    names = models.JSONField(default=list)
    part = models.CharField(max_length=100, blank=True, help_text="What it is at.")
    after = models.CharField(max_length=200, blank=True, help_text="How far in this part.")
    counts = models.JSONField(default=dict, help_text="Rows by what they were.")
    tries = models.PositiveIntegerField(default=0, help_text="Of the step, since the last success.")
    error = models.CharField(max_length=200, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="Of an export: until then it is kept.")

    class Meta:
        ordering = ["-id"]
        verbose_name = "personal data request"
        constraints = [
            models.UniqueConstraint(
                fields=["subject"],
                condition=models.Q(kind="erasure", state="running"),
                name="one_erasure_of_a_person",
            ),
            models.UniqueConstraint(
                fields=["subject", "client"],
                condition=models.Q(kind="export", state="running"),
                name="one_export_for_an_agent",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(fields=["subject", "kind", "-id"], name="personal_data_of_a_person"),
            models.Index(
                fields=["due_at"], name="personal_data_due", condition=models.Q(state="running")
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class ExportedPage(models.Model):
    """A piece of an export: lines of JSON, in the order of `number`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    job = models.ForeignKey(PersonalDataJob, on_delete=models.CASCADE, related_name="pages")
    number = models.PositiveIntegerField()
    lines = models.TextField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="exported_page_once")]

    @override
    def __str__(self) -> str:
        return f"page {self.number}"


class AuditEvent(models.Model):
    """Something a member of staff did or tried to do. Rows are only ever added: a trigger refuses the rest.

    Nothing in it names anybody but the member of staff: see `commsproject.common.audit.snapshots`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=60)
    actor_id = models.BigIntegerField(null=True, help_text="Null: nobody was signed in.")
    actor = models.CharField(max_length=150, blank=True, help_text="The name at that time.")
    model = models.CharField(max_length=100, blank=True, help_text="`notifications.batch`.")
    object_id = models.CharField("object", max_length=100, blank=True)
    changes = models.JSONField(default=dict, help_text="Before and after, by field.")
    address = models.CharField(max_length=64, blank=True, help_text="Keyed hash of the network's.")
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["actor_id", "-id"], name="audit_event_of_actor"),
            models.Index(fields=["model", "object_id", "-id"], name="audit_event_of_object"),
            models.Index(fields=["action", "-id"], name="audit_event_of_action"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.action} {self.id}"


class StaffSession(models.Model):
    """A sign-in to the staff pages that stands. It ends when the row goes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_sessions"
    )
    is_verified = models.BooleanField(default=False, help_text="By a second factor.")
    address = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return str(self.id)


class SecondFactor(models.Model):
    """What makes the one-time codes of a member of staff (TOTP, RFC 6238)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="second_factor",
    )
    sealed = models.BinaryField(editable=False)
    last_step = models.BigIntegerField(
        default=0, help_text="Of the last code that was used: none is good twice."
    )
    created_at = models.DateTimeField(default=timezone.now)

    @override
    def __str__(self) -> str:
        return str(self.user_id)


class RecoveryCode(models.Model):
    """Stands in for a lost second factor, once: using it deletes the row. Only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=64, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)


class SignInTry(models.Model):
    """One try to sign in that did not succeed, or not yet. `key`: keyed hash of what is counted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["key", "at"], name="sign_in_try_recent")]

    @override
    def __str__(self) -> str:
        return str(self.id)
