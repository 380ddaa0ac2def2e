"""A comparison of versions of one template, and what came of each."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from templates_app.models.template import Template, TemplateVersion


class Goal(models.TextChoices):
    """What a message is to bring about."""

    DELIVERED = "delivered", "Delivered"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    CONVERTED = "converted", "Converted"


class Experiment(models.Model):
    """While it runs, each person gets one of its variants: always the same one.

    Its weights may change while it runs: that begins a new round, with new rows of the variants.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"
        DECIDED = "decided", "Decided"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="experiments")
    name = models.CharField(max_length=100)
    goal = models.CharField(max_length=10, choices=Goal.choices, default=Goal.OPENED)
    is_automatic = models.BooleanField(
        "decides by itself",
        default=False,
        help_text="The winner is taken as soon as the difference is certain enough.",
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    round = models.PositiveIntegerField(default=1, editable=False)
    winner = models.CharField(max_length=50, blank=True, help_text="The name of a variant.")
    decided_by = models.CharField(
        max_length=100, blank=True, help_text="Empty: it decided by itself."
    )
    created_by = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "A/B test"

    @override
    def __str__(self) -> str:
        return self.name


class Variant(models.Model):
    """One of the versions that are compared, in one round: at one weight, for good.

    `counts`: messages `assigned`, and those that reached each goal; `opened_people` and the like:
    people, each counted with the first message that reached it. `value` of what was converted, in
    ten-thousandths. Folded from deltas.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    round = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=50)
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    weight = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    counts = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering = ["experiment", "round", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "round", "name"], name="variant_once_a_round"
            )
        ]

    @override
    def __str__(self) -> str:
        return self.name


class VariantDelta(models.Model):
    """How one transaction changed a variant's counts. Only ever inserted, and folded into the
    variant every few seconds: no two writers wait for each other.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    variant = models.ForeignKey(
        Variant, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    counts = models.JSONField()

    class Meta:
        ordering = ["id"]

    @override
    def __str__(self) -> str:
        return str(self.id)
