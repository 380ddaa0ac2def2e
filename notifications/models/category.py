from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class Category(models.Model):
    """What a message is about, in the organisation's own words; carries the rules for its kind."""

    class Kind(models.TextChoices):
        ESSENTIAL = "essential", "Essential"
        TRANSACTIONAL = "transactional", "Transactional"
        MARKETING = "marketing", "Marketing"

    class OnUnknown(models.TextChoices):
        RESEND = "resend", "Send again"
        HOLD = "hold", "Hold"

    class LongText(models.TextChoices):
        SPLIT = "split", "Send in several segments"
        TRUNCATE = "truncate", "Cut to one segment"
        REFUSE = "refuse", "Refuse"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(
        max_length=20,
        choices=Kind.choices,
        default=Kind.TRANSACTIONAL,
        help_text="Essential messages (one-time codes) cannot be unsubscribed from.",
    )
    on_unknown = models.CharField(
        "when a provider does not answer",
        max_length=10,
        choices=OnUnknown.choices,
        default=OnUnknown.RESEND,
        help_text="Send again may reach the person twice; hold may not reach them at all.",
    )
    long_text = models.CharField(
        "when a text message is longer than one segment",
        max_length=10,
        choices=LongText.choices,
        default=LongText.SPLIT,
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["key"]
        verbose_name_plural = "categories"

    @override
    def __str__(self) -> str:
        return self.key
