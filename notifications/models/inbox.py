from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.announcement import Announcement
from notifications.models.category import Category
from notifications.models.recipient import Recipient


class Inbox(models.Model):
    """The head of a person's inbox: the last number that was given, and counts that are kept.

    Whoever writes an item holds this row: see `notifications.heads`.
    """

    recipient = models.OneToOneField(Recipient, primary_key=True, on_delete=models.CASCADE)
    seq = models.BigIntegerField(default=0)
    floor = models.BigIntegerField(
        default=0, help_text="Up to here items may be gone without a trace."
    )
    unseen = models.IntegerField(default=0)
    unread = models.IntegerField(default=0)
    snoozed = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "inboxes"

    @override
    def __str__(self) -> str:
        return self.recipient.user_id


class InboxTag(models.Model):
    """The same counts of the items with one tag; no row where both are 0."""

    pk = models.CompositePrimaryKey("recipient_id", "tag")
    recipient = models.ForeignKey(
        Recipient, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    tag = models.CharField(max_length=64)
    unseen = models.IntegerField()
    unread = models.IntegerField()

    @override
    def __str__(self) -> str:
        return self.tag


class InboxItem(models.Model):
    """A message in a person's inbox, as it was rendered, and what the person did with it.

    That of a message has the id of its delivery: sent again, it is still one. That of an
    announcement is there once the person has done something with it (or was on its list), and says
    what the announcement says.

    A change of state takes the person's next `seq`: what is new since a number is what has a
    higher one. All that a state is made of is in an index, so an update writes them anew; a person
    makes few.
    """

    class Place(models.TextChoices):
        INBOX = "inbox", "Inbox"
        ARCHIVED = "archived", "Archived"
        SNOOZED = "snoozed", "Snoozed"
        GONE = "gone", "Expired"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(
        Recipient, on_delete=models.CASCADE, related_name="inbox_items", db_index=False
    )
    seq = models.BigIntegerField()
    announcement = models.ForeignKey(
        Announcement, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    category = models.ForeignKey(
        Category, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    title = models.CharField(max_length=998, blank=True)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=2000, blank=True)
    image = models.CharField(max_length=2000, blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list)
    actions = models.JSONField(default=list)
    data = models.JSONField(default=dict)
    place = models.CharField(max_length=8, choices=Place.choices, default=Place.INBOX)
    seen_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    pressed = models.JSONField(default=dict, help_text="Key of an action to when it was pressed.")
    shown_at = models.DateTimeField(
        default=timezone.now, help_text="Its place in the feed: when it came, or came back."
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["recipient", "place", "-shown_at", "-id"],
                name="inbox_item_feed",
                condition=~models.Q(place="gone"),
            ),
            models.Index(
                fields=["recipient", "-shown_at", "-id"],
                name="inbox_item_unread",
                condition=models.Q(place="inbox", read_at__isnull=True),
            ),
            models.Index(
                fields=["recipient", "-shown_at", "-id"],
                name="inbox_item_unseen",
                condition=models.Q(place="inbox", seen_at__isnull=True),
            ),
            models.Index(
                fields=["snoozed_until"],
                name="inbox_item_snoozed",
                condition=models.Q(place="snoozed"),
            ),
            models.Index(
                fields=["expires_at"], name="inbox_item_ends", condition=~models.Q(place="gone")
            ),
            models.Index(
                fields=["expires_at"], name="inbox_item_gone", condition=models.Q(place="gone")
            ),
            models.Index(
                fields=["announcement"],
                name="inbox_item_announced",
                condition=models.Q(announcement__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["recipient", "seq"], name="inbox_item_seq_once"),
            models.UniqueConstraint(
                fields=["recipient", "announcement"],
                condition=models.Q(announcement__isnull=False),
                name="inbox_item_once_announced",
            ),
            models.CheckConstraint(
                condition=models.Q(place="snoozed", snoozed_until__isnull=False)
                | (~models.Q(place="snoozed") & models.Q(snoozed_until__isnull=True)),
                name="inbox_item_snoozed_until",
            ),
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)
