from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.recipient import Recipient


class InboxItem(models.Model):
    """A notification in a person's in-app inbox, as it was rendered.

    One for each delivery: sent again, it is still one.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="inbox")
    delivery_id = models.UUIDField(unique=True)
    title = models.CharField(max_length=998)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=2000, blank=True)
    image = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return str(self.id)
