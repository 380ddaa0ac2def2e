from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from conversations.models.conversation import Conversation
from conversations.types import EntryKind, Medium, Who


class Entries(models.Manager["Entry"]):
    """Without their words, which only the search asks for, and as large as the text."""

    @override
    def get_queryset(self) -> models.QuerySet[Entry]:
        return super().get_queryset().defer("words")


class Entry(models.Model):
    """Something written in a conversation, or a note of what happened there.

    `seq` is its place; `changed_seq` that of its latest change, the same where there was none.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="entries")
    seq = models.PositiveBigIntegerField()
    changed_seq = models.PositiveBigIntegerField()
    number = models.PositiveBigIntegerField(help_text="1 for the first entry: changes not counted.")
    kind = models.CharField(max_length=10, choices=EntryKind.choices, default=EntryKind.TEXT)
    who = models.CharField(max_length=10, choices=Who.choices)
    person_id = models.CharField(max_length=200)
    medium = models.CharField(
        max_length=10, choices=Medium.choices, default=Medium.CHAT, db_default=Medium.CHAT
    )
    client_id = models.CharField(
        max_length=64, blank=True, help_text="Of its author: written once however often it is sent."
    )
    body = models.TextField(blank=True)
    event = models.JSONField(null=True, help_text="Of a system entry: what happened.")
    reply_to = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    mentions = ArrayField(models.CharField(max_length=200), default=list)
    pinned_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    words = models.GeneratedField(
        expression=SearchVector("body", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = Entries()

    class Meta:
        ordering = ["seq"]
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="entry_seq_once"),
            models.UniqueConstraint(
                fields=["conversation", "who", "person_id", "client_id"],
                condition=~models.Q(client_id=""),
                name="entry_client_id_once",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "changed_seq"], name="entry_by_change"),
            models.Index(fields=["conversation", "created_at"], name="entry_by_time"),
            models.Index(
                fields=["conversation", "-pinned_at"],
                name="entry_pinned",
                condition=models.Q(pinned_at__isnull=False),
            ),
            GinIndex(fields=["words"], name="entry_words"),
        ]

    @override
    def __str__(self) -> str:
        return f"entry {self.seq} of {self.conversation_id}"


class Change(models.Model):
    """A seq that went to a change of an entry: edited, deleted, a reaction, a pin."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_index=False)
    seq = models.PositiveBigIntegerField()
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="changes")

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="change_seq_once")
        ]

    @override
    def __str__(self) -> str:
        return f"change {self.seq} of {self.conversation_id}"


class Revision(models.Model):
    """What an entry said before it was edited."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="revisions")
    body = models.TextField()
    until = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return f"revision of {self.entry_id}"


class Reaction(models.Model):
    """One emoji of one person at an entry."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="reactions")
    who = models.CharField(max_length=10, choices=Who.choices)
    person_id = models.CharField(max_length=200)
    emoji = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry", "who", "person_id", "emoji"], name="reaction_once"
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.emoji} {self.entry_id}"


class Mention(models.Model):
    """That an entry names a person who has not read it yet; gone with the reading."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_index=False)
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="+")
    seq = models.PositiveBigIntegerField()
    person_id = models.CharField(max_length=200)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "person_id", "seq"], name="mention_once"
            )
        ]

    @override
    def __str__(self) -> str:
        return f"mention at {self.seq} of {self.conversation_id}"
