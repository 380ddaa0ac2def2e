"""A template and its versions. A published version never changes: messages point to it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class Template(models.Model):
    """A reusable message, addressed by its key."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["key"]

    @override
    def __str__(self) -> str:
        return self.key


class TemplateVersion(models.Model):
    """The parts of a template at one moment: `channels` is `{"email": {"subject": ...}, ...}`.

    A template has at most one draft (`published_at` is null), which may change, and any number of
    published versions, of which the highest number is the one in use.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    channels = models.JSONField()
    locale = models.CharField(max_length=35, blank=True)
    variables = models.JSONField(default=list, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=100, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["template", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="version_number_once"),
            models.UniqueConstraint(
                fields=["template"],
                condition=models.Q(published_at__isnull=True),
                name="one_draft_per_template",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.template.key} v{self.number}"
