from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from conversations.models.conversation import Conversation
from conversations.models.entry import Entry
from conversations.types import Who


class Attachment(models.Model):
    """A file of an entry. Without an entry it is its author's draft; without a conversation nobody's,
    and the job removes it with its files.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(
        Conversation, null=True, on_delete=models.SET_NULL, related_name="attachments"
    )
    entry = models.ForeignKey(
        Entry, null=True, on_delete=models.SET_NULL, related_name="attachments"
    )
    place = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Among the files of its entry."
    )
    who = models.CharField(max_length=10, choices=Who.choices)
    person_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    key = models.CharField(max_length=100, help_text="In the storage.")
    thumbnail_key = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["place", "id"]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="attachment_of_nothing",
                condition=models.Q(entry=None),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"attachment {self.id}"
