"""Rows for tests that need them directly. What a test is about, it writes out; the rest is here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from factory.declarations import LazyAttribute, LazyFunction, PostGeneration, Sequence, SubFactory
from factory.django import DjangoModelFactory

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import addresses, push_tokens
from notifications.models import (
    Address,
    Attempt,
    Category,
    DeadLetter,
    Delivery,
    Device,
    Notification,
    Recipient,
    Suppression,
    Work,
)
from notifications.states import State
from notifications.types import Channel, ErrorClass, Lane, Platform, SuppressionReason
from templates_app.models import Template, TemplateVersion

CHANNELS = {
    "email": {
        "subject": "Hello {{ name }}",
        "text": "Good to have you, {{ name }}.",
        "html": "<p>Good to have you, <b>{{ name }}</b>.</p>",
    }
}
"""A template's parts that need one variable, `name`."""


class ApiClientFactory(DjangoModelFactory[ApiClient]):
    class Meta:
        model = ApiClient

    name = Sequence(lambda n: f"agent-{n}")


class CategoryFactory(DjangoModelFactory[Category]):
    class Meta:
        model = Category

    key = Sequence(lambda n: f"category-{n}")
    name = LazyAttribute(lambda category: category.key.title())
    kind = Category.Kind.TRANSACTIONAL


class RecipientFactory(DjangoModelFactory[Recipient]):
    class Meta:
        model = Recipient

    user_id = Sequence(lambda n: f"u-{n}")


class AddressFactory(DjangoModelFactory[Address]):
    class Meta:
        model = Address

    recipient = SubFactory(RecipientFactory)
    channel = Channel.EMAIL
    value = Sequence(lambda n: f"person-{n}@simulator.test")


class DeviceFactory(DjangoModelFactory[Device]):
    """An Android phone."""

    class Meta:
        model = Device

    recipient = SubFactory(RecipientFactory)
    platform = Platform.FCM
    token = Sequence(lambda n: f"device-{n}:APA91bF-token-of-a-phone")
    token_hash = LazyAttribute(lambda row: push_tokens.digest(row.platform, row.token))


class TemplateFactory(DjangoModelFactory[Template]):
    class Meta:
        model = Template

    key = Sequence(lambda n: f"template-{n}")
    name = LazyAttribute(lambda template: template.key.title())


class TemplateVersionFactory(DjangoModelFactory[TemplateVersion]):
    """A published version; `published_at=None` makes it a draft."""

    class Meta:
        model = TemplateVersion

    template = SubFactory(TemplateFactory)
    number = 1
    channels = CHANNELS
    variables = ["name"]
    published_at = datetime(2026, 1, 1, tzinfo=UTC)


class NotificationFactory(DjangoModelFactory[Notification]):
    class Meta:
        model = Notification

    client = SubFactory(ApiClientFactory)
    content = {"email": {"subject": "Hello", "text": "It works."}}


class DeliveryFactory(DjangoModelFactory[Delivery]):
    class Meta:
        model = Delivery

    notification = SubFactory(NotificationFactory)
    channel = Channel.EMAIL
    address = Sequence(lambda n: f"person-{n}@simulator.test")
    address_hash = LazyAttribute(lambda row: addresses.digest(row.channel, row.address))
    state = State.QUEUED


class AttemptFactory(DjangoModelFactory[Attempt]):
    """A call that the simulator took."""

    class Meta:
        model = Attempt

    delivery = SubFactory(DeliveryFactory, state=State.SENT, provider="simulator", attempts_made=1)
    work_id = LazyFunction(new_id)
    token = 1
    number = 1
    provider = "simulator"
    state = Attempt.State.ACCEPTED
    ended_at = datetime(2026, 1, 1, tzinfo=UTC)


class WorkFactory(DjangoModelFactory[Work]):
    """The work of `deliveries`, which are queued."""

    class Meta:
        model = Work
        exclude = ("deliveries",)

    deliveries: Any = ()
    lane = Lane.NORMAL
    channel = Channel.EMAIL
    client = SubFactory(ApiClientFactory)
    flow = LazyAttribute(lambda row: (row.batch or row.client).id)
    batch = None
    ids = LazyAttribute(lambda row: [delivery.id for delivery in row.deliveries])


class SuppressionFactory(DjangoModelFactory[Suppression]):
    """An entry for `address`; of every category unless `scope` says otherwise."""

    class Meta:
        model = Suppression
        exclude = ("address",)

    address = "ada@simulator.test"
    channel = Channel.EMAIL
    address_hash = LazyAttribute(lambda row: addresses.digest(row.channel, row.address))
    reason = SuppressionReason.MANUAL


def _refused(letter: DeadLetter, *_: object, **__: object) -> None:
    AttemptFactory(delivery=letter.delivery, state=Attempt.State.FAILED, code="503")


class DeadLetterFactory(DjangoModelFactory[DeadLetter]):
    """A message that one provider refused until it was given up."""

    class Meta:
        model = DeadLetter
        skip_postgeneration_save = True

    delivery = SubFactory(
        DeliveryFactory, state=State.DEAD, provider="simulator", attempts_made=1, reason="given up"
    )
    error_class = ErrorClass.TEMPORARY
    code = "503"
    reason = "given up"
    providers = ["simulator"]
    attempt = PostGeneration(_refused)
