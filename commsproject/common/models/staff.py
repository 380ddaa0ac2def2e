"""How staff sign in."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class StaffSession(models.Model):
    """A sign-in to the staff pages that stands. It ends when the row goes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_sessions"
    )
    is_verified = models.BooleanField(default=False, help_text="By a second factor.")
    address = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = "sign-in"

    @override
    def __str__(self) -> str:
        return str(self.id)


class SecondFactor(models.Model):
    """What makes the one-time codes of a member of staff (TOTP, RFC 6238)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="second_factor",
    )
    sealed = models.BinaryField(editable=False)
    last_step = models.BigIntegerField(
        default=0, help_text="Of the last code that was used: none is good twice."
    )
    created_at = models.DateTimeField(default=timezone.now)

    @override
    def __str__(self) -> str:
        return str(self.user_id)


class RecoveryCode(models.Model):
    """Stands in for a lost second factor, once: using it deletes the row. Only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=64, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")
        ]

    @override
    def __str__(self) -> str:
        return str(self.id)


class SignInTry(models.Model):
    """One try to sign in that did not succeed, or not yet. `key`: keyed hash of what is counted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["key", "at"], name="sign_in_try_recent")]

    @override
    def __str__(self) -> str:
        return str(self.id)
