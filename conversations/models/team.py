"""What the support team knows and nobody else: in tables of its own, which no person's page, socket
or export reads.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from conversations.models.conversation import Conversation
from conversations.types import Who


class Note(models.Model):
    """What the team says about a support conversation among themselves, never to the person.

    It has no seq, since clients would miss one; it stands after the entry or change `after_seq`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="notes")
    after_seq = models.PositiveBigIntegerField()
    who = models.CharField(max_length=10, choices=Who.choices)
    person_id = models.CharField(max_length=200)
    client_id = models.CharField(max_length=64, blank=True)
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "who", "person_id", "client_id"],
                condition=~models.Q(client_id=""),
                name="note_client_id_once",
            )
        ]
        indexes = [models.Index(fields=["conversation", "after_seq"], name="note_by_place")]

    @override
    def __str__(self) -> str:
        return f"note {self.id}"


class TeamMark(models.Model):
    """How far somebody of the team has read, be they a participant or not."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    read_seq = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "user"], name="team_mark_once")
        ]

    @override
    def __str__(self) -> str:
        return f"read up to {self.read_seq}"
