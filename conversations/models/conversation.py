from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from conversations.types import Kind, Role, Status, Who


class Conversation(models.Model):
    """A thread. Every entry and every change takes the next `last_seq`, under the row's lock.

    `entries` counts what was written, so that a participant's unread number is a subtraction.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    title = models.CharField(max_length=200, blank=True)
    pair = models.CharField(
        max_length=64, blank=True, help_text="Of a direct one: a hash of the two, who have one."
    )
    status = models.CharField(max_length=10, choices=Status.choices, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    last_seq = models.PositiveBigIntegerField(default=0)
    entries_made = models.PositiveBigIntegerField(default=0)
    active_at = models.DateTimeField(default=timezone.now, help_text="Of the last entry.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-active_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["pair"], condition=~models.Q(pair=""), name="one_conversation_of_a_pair"
            )
        ]
        indexes = [
            models.Index(
                fields=["status", "-active_at"],
                name="conversation_of_support",
                condition=models.Q(kind="support"),
            ),
            models.Index(
                fields=["-active_at", "-id"],
                name="conversation_not_closed",
                condition=models.Q(kind="support") & ~models.Q(status="closed"),
            ),
            models.Index(
                fields=["assignee", "-active_at", "-id"],
                name="conversation_of_assignee",
                condition=models.Q(kind="support") & ~models.Q(status="closed"),
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Participant(models.Model):
    """That somebody belongs to a conversation, or did, and how far they have come in it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="participants"
    )
    who = models.CharField(max_length=10, choices=Who.choices, default=Who.USER)
    person_id = models.CharField(max_length=200)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(default=timezone.now)
    left_at = models.DateTimeField(null=True)
    read_seq = models.PositiveBigIntegerField(default=0)
    read_entries = models.PositiveBigIntegerField(
        default=0, help_text="How many entries there were up to there."
    )
    delivered_seq = models.PositiveBigIntegerField(default=0)
    mentions = models.PositiveIntegerField(default=0, help_text="Not read yet.")
    read_at = models.DateTimeField(null=True)
    muted_until = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "who", "person_id"], name="participant_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["who", "person_id"],
                name="participant_by_person",
                condition=models.Q(left_at__isnull=True),
            ),
            models.Index(
                fields=["archived_at"],
                name="participant_archived",
                condition=models.Q(archived_at__isnull=False),
            ),
            models.Index(
                fields=["left_at"],
                name="participant_left",
                condition=models.Q(left_at__isnull=False),
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.who}:{self.person_id}"
