from __future__ import annotations

import re
import unicodedata

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Func
from django.db.models.fields.json import KT
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.types import Channel

_MARKS = "\u0300-\u036f"
"""What accents are in Unicode's decomposed form, in which PostgreSQL and Python agree."""

NAME_WORDS = SearchVector(
    Func(
        KT("data__name"),
        template=f"regexp_replace(normalize(%(expressions)s, NFD), '[{_MARKS}]', '', 'g')",
        output_field=models.TextField(),
    ),
    config="simple",
)
"""The words of what people are called, as `plain` has them; they are found by an index."""


def plain(name: str) -> str:
    """Without accents: José is found by "jose", too."""
    return re.sub(f"[{_MARKS}]", "", unicodedata.normalize("NFD", name))


class Recipient(models.Model):
    """A person, known by the identity service's `user_id`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user_id = models.CharField(max_length=200, unique=True)
    locale = models.CharField(max_length=35, blank=True, help_text="A tag such as pt-BR.")
    time_zone = models.CharField(max_length=64, blank=True, help_text="An IANA name.")
    data = models.JSONField(default=dict, blank=True, help_text="What agents want to know of them.")
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then only essential messages are sent."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["user_id"]
        indexes = [GinIndex(NAME_WORDS, name="recipient_by_plain_name")]

    @override
    def __str__(self) -> str:
        return self.user_id


class Address(models.Model):
    """Where a person can be reached on one channel."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="addresses")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    value = models.CharField(max_length=320)
    verified_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "channel", "value"], name="address_once_per_recipient"
            )
        ]
        indexes = [models.Index(fields=["value"], name="address_by_value")]

    @override
    def __str__(self) -> str:
        return f"{self.channel} {self.id}"
