from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel, QuietRule


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
    inbox_days = models.PositiveSmallIntegerField(
        "days in the inbox",
        default=90,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="For how long its messages stay in people's inboxes.",
    )
    is_optional = models.BooleanField(
        "people may turn it off",
        default=True,
        help_text="Essential messages cannot be turned off whatever is set here.",
    )
    is_opt_in = models.BooleanField(
        "only for those who asked for it",
        default=False,
        help_text="Sent only to people whose preferences turn this category on, by name.",
    )
    needs_confirmation = models.BooleanField(
        "asked to confirm",
        default=False,
        help_text="Who asks for it gets a message with a link first (double opt-in).",
    )
    channels = ArrayField(
        models.CharField(max_length=10, choices=Channel.choices),
        default=list,
        blank=True,
        help_text="Which are used, in this order, where a message names none. Empty: all.",
    )
    fallback = models.JSONField(
        default=list,
        blank=True,
        help_text='Steps after the first channel: [{"channel": "email", "after": 600, '
        '"unless": "read"}], seconds; unless it was read, delivered or sent by then.',
    )
    quiet = models.CharField(
        "in quiet hours",
        max_length=10,
        choices=QuietRule.choices,
        default=QuietRule.IGNORE,
    )
    spares_watchers = models.BooleanField(
        "not to somebody who is looking",
        default=False,
        help_text="Who has the inbox open is told nowhere else.",
    )
    daily_cap = models.PositiveSmallIntegerField(
        "at most in 24 hours",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Messages to one person. Empty: no limit.",
    )
    digest_minutes = models.PositiveIntegerField(
        "collected for, minutes",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="All messages of this time become one. Empty: each goes by itself.",
    )
    digest_first_at_once = models.BooleanField(
        "the first one goes at once", default=False, help_text="Only what follows is collected."
    )
    track_opens = models.BooleanField(
        "opens are noted",
        default=False,
        help_text="By an image of ours in its emails. Each then goes to the provider by itself.",
    )
    track_clicks = models.BooleanField(
        "followed links are noted",
        default=False,
        help_text="Links in its emails lead through this service.",
    )
    content_days = models.PositiveIntegerField(
        "content is kept for, days",
        default=90,
        help_text="Then what a message said is erased; that it was sent stays on record.",
    )
    is_sensitive = models.BooleanField(
        "sensitive",
        default=False,
        help_text="Staff never see what is in it, and it is erased once it has arrived.",
    )
    is_paused = models.BooleanField("paused", default=False)
    pause_reason = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["key"]
        verbose_name_plural = "categories"

    @override
    def __str__(self) -> str:
        return self.key
