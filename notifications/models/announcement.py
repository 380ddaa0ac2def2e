from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models.category import Category


class Announcement(models.Model):
    """Something that many people are told in their inboxes.

    To everyone it is one row: a person has an item of it once they have done something with it.
    What goes to a list or a topic is given to each on it when it goes live, as those are finite.
    What it says never changes after it was published: items of people refer to it.
    """

    class Audience(models.TextChoices):
        ALL = "all", "Everyone"
        LIST = "list", "A list of people"
        TOPIC = "topic", "A topic"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Waits for its time"
        LIVE = "live", "Live"
        ENDED = "ended", "Ended"

    class Priority(models.TextChoices):
        NORMAL = "normal", "Normal"
        HIGH = "high", "High"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(
        ApiClient, null=True, on_delete=models.PROTECT, related_name="+", help_text="Null: staff."
    )
    audience = models.CharField(max_length=5, choices=Audience.choices, default=Audience.ALL)
    user_ids = ArrayField(
        models.CharField(max_length=200), default=list, blank=True, help_text="Of a list."
    )
    topic = models.SlugField(max_length=64, blank=True, help_text="Of a topic: its key.")
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True, max_length=5000)
    link = models.CharField(max_length=2000, blank=True)
    image = models.CharField(max_length=2000, blank=True)
    actions = models.JSONField(default=list, blank=True)
    data = models.JSONField(default=dict, blank=True)
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.PROTECT)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    priority = models.CharField(max_length=6, choices=Priority.choices, default=Priority.NORMAL)
    banner = models.BooleanField(default=False, help_text="To be shown above the page too.")
    state = models.CharField(max_length=9, choices=State.choices, default=State.DRAFT)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()
    seq = models.BigIntegerField(
        null=True, help_text="Of everyone's: when it last went live or ended, in their own order."
    )
    is_called_back = models.BooleanField(
        default=False,
        editable=False,
        help_text="It has ended, and what people have of it expires with it.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["state", "starts_at"],
                name="announcement_current",
                condition=models.Q(state__in=["published", "live"]),
            ),
            models.Index(
                fields=["ends_at"],
                name="announcement_to_call_back",
                condition=models.Q(state="ended", is_called_back=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["seq"], name="announcement_seq_once"),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="announcement_has_time"
            ),
        ]

    @override
    def __str__(self) -> str:
        return self.title
