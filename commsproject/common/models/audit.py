"""What staff did."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class AuditEvent(models.Model):
    """Something a member of staff did or tried to do. Rows are only ever added: a trigger refuses the rest.

    Nothing in it names anybody but the member of staff: see `commsproject.common.audit.snapshots`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=60)
    actor_id = models.BigIntegerField(null=True, help_text="Null: nobody was signed in.")
    actor = models.CharField(max_length=150, blank=True, help_text="The name at that time.")
    model = models.CharField(max_length=100, blank=True, help_text="`notifications.batch`.")
    object_id = models.CharField("object", max_length=100, blank=True)
    changes = models.JSONField(default=dict, help_text="Before and after, by field.")
    address = models.CharField(max_length=64, blank=True, help_text="Keyed hash of the network's.")
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "event of the audit trail"
        verbose_name_plural = "events of the audit trail"
        indexes = [
            models.Index(fields=["actor_id", "-id"], name="audit_event_of_actor"),
            models.Index(fields=["model", "object_id", "-id"], name="audit_event_of_object"),
            models.Index(fields=["action", "-id"], name="audit_event_of_action"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.action} {self.id}"
