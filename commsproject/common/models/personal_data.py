"""Requests for what is known of a person, and for its erasure."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models.agent import ApiClient


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
