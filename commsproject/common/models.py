"""Rows that every app needs: who may call, what was already answered, what runs when, what is wrong."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
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


class Alert(models.Model):
    """Something that staff should look at, from when it began until it is well again.

    `key` says what it is about (`provider.ses.quota`); no field holds anybody's personal data.
    """

    class Severity(models.TextChoices):
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=100)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=1000, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(resolved_at__isnull=True), name="alert_open_once"
            )
        ]

    @override
    def __str__(self) -> str:
        return self.title


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
    once it is published.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    type = models.CharField(max_length=60)
    items = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

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
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="exported_page_once")
        ]

    @override
    def __str__(self) -> str:
        return f"page {self.number}"
