from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models.batch import Batch
from notifications.models.category import Category
from notifications.models.recipient import Recipient
from notifications.types import Lane
from templates_app.models import TemplateVersion, Variant

BARE: Any = {"related_name": "+", "db_index": False, "db_constraint": False}
"""A reference without an index of its own, and without PostgreSQL's check of each row, which is a
tenth of what acceptance costs. Rows are only ever written by the services, and `audit` looks.
docs/decisions/0007
"""


class Notification(models.Model):
    """One message to one person. Its deliveries say how far it got.

    The rendered text is not stored: version and data give it again.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, **BARE)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, **BARE)
    row = models.PositiveIntegerField(null=True, help_text="Its number in the batch, from 1.")
    recipient = models.ForeignKey(Recipient, null=True, on_delete=models.SET_NULL, **BARE)
    category = models.ForeignKey(Category, null=True, on_delete=models.PROTECT, **BARE)
    template_version = models.ForeignKey(
        TemplateVersion, null=True, on_delete=models.PROTECT, **BARE
    )
    variant = models.ForeignKey(Variant, null=True, on_delete=models.DO_NOTHING, **BARE)
    content = models.JSONField(null=True, help_text="Inline parts, where no template is used.")
    data = models.JSONField(
        null=True, help_text="Null: the content is sent literally, or with its batch's data."
    )
    locale = models.CharField(
        max_length=35, blank=True, help_text="What was asked for, else the recipient's of then."
    )
    time_zone = models.CharField(max_length=64, blank=True, help_text="The recipient's of then.")
    priority = models.CharField(max_length=10, choices=Lane.choices, default=Lane.NORMAL)
    agent_id = models.CharField(max_length=100, blank=True)
    reference = models.CharField(max_length=200, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    reply_to = models.CharField(max_length=320, blank=True)
    attachments = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    actions = models.JSONField(null=True, help_text="Buttons in the inbox; null: none.")
    send_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    erased_at = models.DateTimeField(
        null=True, help_text="When what it said was erased: it cannot be sent again."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name = "message"
        indexes = [
            models.Index(fields=["client", "-id"], name="notification_by_client"),
            models.Index(
                fields=["recipient", "-id"],
                name="notification_by_recipient",
                condition=models.Q(recipient__isnull=False),
            ),
            models.Index(
                fields=["batch", "id"],
                name="notification_by_batch",
                condition=models.Q(batch__isnull=False),
            ),
            models.Index(
                fields=["client", "reference"],
                name="notification_by_reference",
                condition=~models.Q(reference=""),
            ),
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)
