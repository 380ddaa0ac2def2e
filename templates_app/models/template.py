"""A template and its versions. A published version never changes: messages point to it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id


class Kind(models.TextChoices):
    MESSAGE = "message"
    REPLY = "reply"
    LAYOUT = "layout"
    PARTIAL = "partial"


WHOLE = frozenset({Kind.MESSAGE, Kind.REPLY})
"""What is sent, or said, as it is; the others are parts of these."""


class Template(models.Model):
    """A reusable message, addressed by its key; a reply that staff begin with; or what messages share:
    a layout or a partial.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.MESSAGE)
    samples = models.JSONField(
        default=list,
        blank=True,
        help_text="Data to try it with: a list of name, data and the reader's locale.",
    )
    experiment = models.ForeignKey(
        "templates_app.Experiment",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The one that is running.",
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                Lower("key"),
                name="template_key_once_in_any_case",
                violation_error_message="There is a template with this key in other letters.",
            )
        ]

    @override
    def __str__(self) -> str:
        return self.key


class TemplateVersion(models.Model):
    """The parts of a template at one moment: `channels` is `{"email": {"subject": ...}, ...}` as
    written in `locale`, `translations` the same by locale, `layout` the key of what goes around them.

    Publishing makes `built`: for "" and each translation, the same with layout and partials put in,
    MJML as HTML, styles in tags and a text part. `pins` are the versions of those partials and of
    the layout: `[{"key": ..., "number": ...}]`. A layout or partial has nothing built.

    `schema` is the JSON Schema of the data: found in the sources, described by people. `hosted`
    names templates that email providers keep themselves, and what of the data they are given:
    `{"sendgrid": {"id": "d-1", "variables": {"first": "user.name|upper"}}}`.

    A template has at most one draft (`published_at` is null), which may change, and any number of
    published versions, of which the highest number is the one in use.
    """

    class NullIs(models.TextChoices):
        EMPTY = "empty", "Prints nothing"
        ERROR = "error", "Refuses the message"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    channels = models.JSONField()
    locale = models.CharField(max_length=35, blank=True)
    translations = models.JSONField(default=dict, blank=True)
    layout = models.SlugField(max_length=100, blank=True, db_index=False)
    null_is = models.CharField(
        max_length=5,
        choices=NullIs.choices,
        default=NullIs.EMPTY,
        help_text="What null does where it would be printed.",
    )
    hosted = models.JSONField(default=dict, blank=True)
    schema = models.JSONField(default=dict, blank=True)
    built = models.JSONField(default=dict, editable=False)
    pins = models.JSONField(default=list, editable=False)
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
