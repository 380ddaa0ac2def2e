"""How notifications look from outside."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from commsproject.common.api.serializers import StrictSerializer
from notifications import selectors, timeline
from notifications.models import Attempt, Delivery, GoalReached, Notification
from notifications.services import explain
from notifications.services.cancel import Outcome, Result
from notifications.states import State
from notifications.types import Channel, ErrorClass, EventType, Lane


class FindingOutput(serializers.Serializer[Any]):
    """What one rule of the policy says."""

    rule = serializers.CharField()
    answer = serializers.CharField(
        help_text="`send`: nothing against it; `wait`; or the state in which it would end."
    )
    reason = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class RouteOutput(serializers.Serializer[Any]):
    """One provider of the channel, in the order in which they would be asked."""

    provider = serializers.CharField()
    usable = serializers.BooleanField()
    why = serializers.CharField(help_text="Why it would not be asked now.")
    remaining = serializers.IntegerField(
        allow_null=True, help_text="Messages that its limit leaves room for; null: no limit."
    )


class TraceOutput(serializers.Serializer[Any]):
    """How a delivery would be decided at this moment."""

    at = serializers.DateTimeField()
    policy = FindingOutput(many=True, help_text="In the order asked: the first answer counts.")
    routes = RouteOutput(many=True)
    segments = serializers.IntegerField(allow_null=True)
    cost = serializers.DecimalField(10, 5, allow_null=True)


class AcceptedDelivery(serializers.Serializer[Any]):
    id = serializers.UUIDField(allow_null=True)
    channel = serializers.ChoiceField(Channel.choices)
    to = serializers.CharField()
    status = serializers.ChoiceField(State.choices)
    reason = serializers.CharField(help_text="Why it is not going out; empty if it is.")
    segments = serializers.IntegerField(
        required=False, help_text="Of a text message, in a dry run: what it is billed as."
    )
    cost = serializers.DecimalField(
        10,
        5,
        required=False,
        allow_null=True,
        help_text="Of a text message, in a dry run: estimated; null where no price is known.",
    )
    trace = TraceOutput(required=False, help_text="In a dry run: how it would be decided now.")


class AcceptedOutput(serializers.Serializer[Any]):
    """The answer to `POST /notifications`. `id` is null in a dry run."""

    id = serializers.UUIDField(allow_null=True)
    status = serializers.ChoiceField(State.choices)
    deliveries = AcceptedDelivery(many=True)
    batch = serializers.UUIDField(
        required=False, help_text="To a topic: the batch, as `GET batches/{id}` has it."
    )


class EventOutput(serializers.Serializer[Any]):
    """One thing that happened to a delivery."""

    type = serializers.ChoiceField(EventType.choices)
    at = serializers.DateTimeField()
    provider = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class TimelineOutput(serializers.Serializer[Any]):
    """One thing that happened to a message."""

    type = serializers.CharField(
        help_text="As in `deliveries[].events`; or of the message as a whole: `submitted`, "
        "`suppression` (it had an address suppressed), `no_receipt`."
    )
    at = serializers.DateTimeField()
    text = serializers.CharField(help_text="For people; its words may change.")
    delivery_id = serializers.UUIDField(source="delivery.id", default=None, allow_null=True)
    channel = serializers.CharField(source="delivery.channel", default="")
    provider = serializers.CharField()
    attempt = serializers.IntegerField(allow_null=True, help_text="The call's number, from 1.")
    latency_ms = serializers.IntegerField(
        allow_null=True, help_text="Of an answer: how long the provider took."
    )
    code = serializers.CharField()
    detail = serializers.CharField()


class AttemptOutput(serializers.ModelSerializer[Attempt]):
    error_class = serializers.ChoiceField(ErrorClass.choices, allow_blank=True)

    class Meta:
        model = Attempt
        fields = [
            "id",
            "number",
            "provider",
            "state",
            "error_class",
            "code",
            "detail",
            "http_status",
            "provider_ref",
            "segments",
            "cost",
            "started_at",
            "ended_at",
        ]


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """One delivery in a list."""

    to = serializers.CharField(source="address")
    status = serializers.SerializerMethodField()
    replay_of = serializers.UUIDField(source="replay_of_id", allow_null=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "channel",
            "to",
            "status",
            "reason",
            "provider",
            "attempts_made",
            "replay_of",
        ]

    def get_status(self, delivery: Delivery) -> State:
        return selectors.shown_state(delivery)


class DeliveryDetail(DeliveryOutput):
    """One delivery with every call that was made for it and everything that happened to it."""

    attempts = AttemptOutput(many=True)
    events = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = [*DeliveryOutput.Meta.fields, "created_at", "updated_at", "attempts", "events"]

    def get_events(self, delivery: Delivery) -> list[dict[str, Any]]:
        return list(EventOutput(timeline.of_delivery(delivery), many=True).data)


class NotificationOutput(serializers.ModelSerializer[Notification]):
    """A notification in a list."""

    status = serializers.SerializerMethodField()
    user_id = serializers.CharField(source="recipient.user_id", default="")
    category = serializers.CharField(source="category.key", default="")
    template = serializers.CharField(source="template_version.template.key", default="")
    template_version = serializers.IntegerField(
        source="template_version.number", default=None, allow_null=True
    )
    experiment = serializers.UUIDField(
        source="variant.experiment_id", default=None, allow_null=True
    )
    variant = serializers.CharField(
        source="variant.name", default="", help_text="What it is in an experiment."
    )
    priority = serializers.ChoiceField(Lane.choices)
    deliveries = DeliveryOutput(many=True)

    class Meta:
        model = Notification
        fields = [
            "id",
            "status",
            "user_id",
            "category",
            "template",
            "template_version",
            "experiment",
            "variant",
            "locale",
            "priority",
            "agent_id",
            "reference",
            "tags",
            "metadata",
            "send_at",
            "expires_at",
            "created_at",
            "deliveries",
        ]

    def get_status(self, notification: Notification) -> State:
        return selectors.status(notification)


class NotificationDetail(NotificationOutput):
    """A notification with the whole story of each delivery."""

    deliveries = DeliveryDetail(many=True)
    timeline = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = [*NotificationOutput.Meta.fields, "timeline"]

    @extend_schema_field(TimelineOutput(many=True))
    def get_timeline(self, notification: Notification) -> Any:
        return TimelineOutput(selectors.story(notification), many=True).data


class CancelledDelivery(serializers.Serializer[Result]):
    """One delivery after a cancel, and what the cancel came to."""

    id = serializers.UUIDField(source="delivery.id")
    channel = serializers.ChoiceField(Channel.choices, source="delivery.channel")
    to = serializers.CharField(source="delivery.address")
    status = serializers.ChoiceField(State.choices, source="state")
    reason = serializers.CharField(source="delivery.reason")
    outcome = serializers.ChoiceField(Outcome.choices)
    detail = serializers.CharField(source="outcome.label", help_text="The outcome in words.")


class CancelledOutput(serializers.Serializer[Any]):
    """The answer to `POST /notifications/{id}/cancel`."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(State.choices)
    deliveries = CancelledDelivery(many=True)


class ConvertInput(StrictSerializer):
    """`POST /notifications/{id}/convert`."""

    value = serializers.DecimalField(
        14, 4, min_value=0, required=False, help_text="What it was worth, in a unit of your own."
    )


class ConvertedOutput(serializers.ModelSerializer[GoalReached]):
    """The first conversion of a notification."""

    id = serializers.UUIDField(source="notification_id")
    experiment = serializers.UUIDField(source="experiment_id", allow_null=True)
    variant = serializers.CharField(source="variant.name", default="")
    converted_at = serializers.DateTimeField(source="created_at")

    class Meta:
        model = GoalReached
        fields = ["id", "value", "experiment", "variant", "converted_at"]


class ExplainedDelivery(DeliveryOutput):
    """One delivery, and how it would be decided now."""

    trace = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = [*DeliveryOutput.Meta.fields, "trace"]

    @extend_schema_field(TraceOutput)
    def get_trace(self, delivery: Delivery) -> Any:
        return TraceOutput(explain.as_json(self.context["traces"][delivery.id])).data


class ExplainedOutput(NotificationOutput):
    """A notification, and why it goes out or does not."""

    recipient = serializers.SerializerMethodField()
    deliveries = ExplainedDelivery(many=True)

    class Meta:
        model = Notification
        fields = [*NotificationOutput.Meta.fields, "recipient"]

    @extend_schema_field(
        inline_serializer(
            "ExplainedRecipient",
            {"locale": serializers.CharField(), "time_zone": serializers.CharField()},
            allow_null=True,
        )
    )
    def get_recipient(self, message: Notification) -> dict[str, str] | None:
        person = message.recipient
        return {"locale": person.locale, "time_zone": person.time_zone} if person else None
