"""What people have chosen, and the record that they did."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.category import Category
from notifications.models.recipient import Recipient
from notifications.types import Channel


class Preference(models.Model):
    """One choice of a person. Without a category it is about all of them, likewise a channel."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="preferences")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.CASCADE)
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True)
    is_on = models.BooleanField("wanted")
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "category", "channel"],
                name="preference_once",
                nulls_distinct=False,
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.category_id or 'all'} {self.channel or 'all'}: {self.is_on}"


class QuietHours(models.Model):
    """A period of the day in which a person is left alone, in their own time zone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="quiet_hours")
    start = models.TimeField()
    end = models.TimeField(help_text="On the next day where it is not after the start.")
    days = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        blank=True,
        help_text="On which it starts, Monday is 0. Empty: every day.",
    )

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "quiet hours"

    @override
    def __str__(self) -> str:
        return f"{self.start:%H:%M} to {self.end:%H:%M}"


class Consent(models.Model):
    """That a person said yes or no to something: kept as evidence, never changed.

    Of a channel's address only the keyed hash is kept: the record outlives the person's erasure.
    """

    class Act(models.TextChoices):
        ASKED = "asked", "Asked for it"
        CONFIRMED = "confirmed", "Confirmed it"
        GIVEN = "given", "Said yes"
        WITHDRAWN = "withdrawn", "Said no"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(
        Recipient, null=True, on_delete=models.SET_NULL, related_name="consents"
    )
    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL)
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True)
    address_hash = models.CharField(max_length=64, blank=True)
    act = models.CharField(max_length=10, choices=Act.choices)
    source = models.CharField(max_length=100, help_text="Where it was said: page, api, keyword.")
    proof = models.JSONField(default=dict, help_text="What shows it: wording, form, message id.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["address_hash", "-id"], name="consent_by_address")]

    @override
    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.at:%Y-%m-%d}"
