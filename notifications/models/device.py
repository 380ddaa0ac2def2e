from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.recipient import Recipient
from notifications.types import Platform


class Device(models.Model):
    """A phone, tablet or browser that a person has allowed to be notified on.

    `token` is what its push service knows it by: a registration token (FCM, APNs), or a browser's
    subscription as JSON. One token is one person's: whoever registers it last. A device that is
    gone stays as a row, with the reason.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="devices")
    platform = models.CharField(max_length=10, choices=Platform.choices)
    token = models.TextField(help_text="Empty once the device is gone.", blank=True)
    token_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=100, blank=True, help_text="As the person knows it.")
    app = models.CharField(max_length=200, blank=True, help_text="Bundle or package, for APNs.")
    registered_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, help_text="Last registered again.")
    removed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was removed.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "token_hash"],
                condition=models.Q(removed_at__isnull=True),
                name="device_token_once",
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.platform} {self.id}"
