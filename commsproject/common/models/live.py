"""Who may open a socket, and who last had one."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class LiveTicket(models.Model):
    """Leave to open one socket, for 30 seconds and once: whoever redeems it deletes the row.

    What it says of the person is sealed by the ticket itself, of which we keep only the digest.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    sealed = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="live_ticket_age")]

    @override
    def __str__(self) -> str:
        return "a ticket"


class LastSeen(models.Model):
    """When an end user was last connected to the socket, unless the person hides it."""

    user_id = models.CharField(max_length=255, primary_key=True)
    seen_at = models.DateTimeField(null=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "last seen"

    @override
    def __str__(self) -> str:
        return self.user_id
