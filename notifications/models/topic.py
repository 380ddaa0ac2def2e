from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.recipient import Recipient


class Topic(models.Model):
    """A named group of people to send to."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    members: models.ManyToManyField[Recipient, TopicMember] = models.ManyToManyField(
        Recipient, through="TopicMember", related_name="topics"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["key"]

    @override
    def __str__(self) -> str:
        return self.key


class TopicMember(models.Model):
    """That a person belongs to a topic."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="memberships")
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="memberships")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["topic", "recipient"], name="member_once")]

    @override
    def __str__(self) -> str:
        return f"{self.topic_id} {self.recipient_id}"
