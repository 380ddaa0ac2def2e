from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models.notification import BARE, Notification
from templates_app.models import Experiment, Goal, Variant


class GoalReached(models.Model):
    """A goal that a message has reached, once: of messages in an experiment, and conversions.

    `person` is the recipient's id, or the hash of the address; `is_first`: no earlier message of
    this experiment had brought this person there. An experiment that has messages is never deleted.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, **BARE)
    goal = models.CharField(max_length=10, choices=Goal.choices)
    experiment = models.ForeignKey(Experiment, null=True, on_delete=models.DO_NOTHING, **BARE)
    variant = models.ForeignKey(Variant, null=True, on_delete=models.DO_NOTHING, **BARE)
    person = models.CharField(max_length=64)
    is_first = models.BooleanField()
    value = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "goals reached"
        constraints = [
            models.UniqueConstraint(fields=["notification", "goal"], name="goal_once_a_message"),
            models.UniqueConstraint(
                fields=["experiment", "goal", "person"],
                condition=models.Q(is_first=True, experiment__isnull=False),
                name="goal_first_of_a_person",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.goal} {self.notification_id}"
