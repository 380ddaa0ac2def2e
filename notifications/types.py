"""The words of this domain, shared by models, services and providers. No queries, no effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import TextChoices
from typing_extensions import override


class Channel(TextChoices):
    EMAIL = "email", "Email"
    SMS = "sms", "SMS"
    PUSH = "push", "Push"
    INAPP = "inapp", "In-app"


class Platform(TextChoices):
    """Whose push service reaches a device."""

    FCM = "fcm", "Android or Firebase (FCM)"
    APNS = "apns", "Apple (APNs)"
    WEBPUSH = "webpush", "Browser (Web Push)"


class Lane(TextChoices):
    """The queue's lanes, which are the API's priorities. `urgent` has a worker of its own."""

    URGENT = "urgent", "Urgent"
    NORMAL = "normal", "Normal"
    BULK = "bulk", "Bulk"


class ErrorClass(TextChoices):
    """What a provider's refusal means for what we do next. Every provider error is one of these.

    Only `ambiguous` may have been sent; after all others it is known that nothing was.
    """

    PERMANENT_RECIPIENT = "permanent_recipient", "Recipient cannot be reached"
    PERMANENT_MESSAGE = "permanent_message", "Message refused"
    AUTH_CONFIG = "auth_config", "Credentials or configuration"
    THROTTLED = "throttled", "Throttled"
    TEMPORARY = "temporary", "Temporary"
    AMBIGUOUS = "ambiguous", "Outcome unknown"


class EventType(TextChoices):
    """What is told of a delivery, by us or by a provider."""

    ACCEPTED = "accepted", "Accepted"
    SENDING = "sending", "Handed to provider"
    SENT = "sent", "Taken by provider"
    RETRY = "retry", "Will be tried again"
    UNKNOWN = "unknown", "No answer from provider"
    DEFERRED = "deferred", "Delayed by the receiving side"
    DELIVERED = "delivered", "Delivered"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Marked as spam"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    FAILED = "failed", "Refused"
    DEAD = "dead", "Given up"
    UNCONFIRMED = "unconfirmed", "Never confirmed"
    SUPPRESSED = "suppressed", "Suppressed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"
    REPLAYED = "replayed", "Sent again"


class SuppressionReason(TextChoices):
    BOUNCE = "bounce", "Hard bounce"
    COMPLAINT = "complaint", "Spam complaint"
    UNSUBSCRIBE = "unsubscribe", "Unsubscribed"
    MANUAL = "manual", "Set by staff"


class Unless(TextChoices):
    """What makes a later step of a message needless."""

    SENT = "sent", "Unless it was sent"
    DELIVERED = "delivered", "Unless it was delivered"
    READ = "read", "Unless it was read"


class QuietRule(TextChoices):
    """What becomes of a message in a person's quiet hours."""

    IGNORE = "ignore", "Sent all the same"
    DELAY = "delay", "Sent when they end"
    SKIP = "skip", "Not sent"


@dataclass(frozen=True)
class Attachment:
    filename: str
    content: bytes
    content_type: str


@dataclass(slots=True, eq=False, repr=False)
class Outbound:
    """One rendered message on its way to one address, as a provider gets it. Nobody changes it;
    to have Python see to that would double the cost of making one.

    `attempt_id` goes into the provider's metadata, so a webhook finds the attempt even when the
    provider's answer was lost. `delivery_id` is the same in every attempt: it makes the
    Message-ID, so that mail clients drop a duplicate.
    """

    attempt_id: UUID
    delivery_id: UUID
    notification_id: UUID
    channel: Channel
    to: str
    parts: Mapping[str, str]
    values: Mapping[str, str] = field(default_factory=dict)
    """Placeholder to text, where `parts` are what all messages of one batch call share and the
    provider puts the values in. Empty: `parts` are final.
    """
    number: int = 1
    """1 for the first attempt of this delivery, 2 for the second."""
    agent_id: str = ""
    template_id: str = ""
    app: str = ""
    """Which of the apps on a device is meant; empty: the one that the provider is set up for."""
    expires_at: datetime | None = None
    """Until when the provider may try to deliver it; None: as long as it likes."""
    lane: Lane = Lane.NORMAL
    """Whether it is worth waking a device that sleeps."""
    segments: int = 0
    """Of a text message: what it is billed as."""
    reply_to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    hosted: Mapping[str, str] = field(default_factory=dict)
    """Provider to the id of a template that it keeps itself. Where there is one, that template is
    the message: `values` are its variables by name, and `parts` are not used.
    """

    @override
    def __repr__(self) -> str:
        return f"<Outbound attempt={self.attempt_id} channel={self.channel.value}>"


@dataclass(frozen=True, repr=False)
class Wanted:
    """What a provider must be able to do to carry one message.

    `address` is in normal form; of a device `platform:id`. `country` is that of a phone number
    (ISO 3166-1 alpha-2), `""` for all other addresses. `hosted` are the providers that keep its
    template, none where we render it.
    """

    channel: Channel
    address: str
    country: str = ""
    part: str = ""
    """What of the provider's world it goes to, which can be ill by itself: a country, or the push
    service of a browser.
    """
    has_attachments: bool = False
    hosted: Collection[str] = ()


@dataclass(frozen=True, repr=False)
class Inquiry:
    """A call whose outcome we do not know, as far as a provider needs it to look it up.

    `ref` is the provider's id of the message where one is known; `others` are its ids of other
    messages to the same address, which this one is not. `parts` are what was sent.
    """

    attempt_id: UUID
    channel: Channel
    to: str
    parts: Mapping[str, str]
    started_at: datetime
    ref: str = ""
    others: Collection[str] = ()


@dataclass(frozen=True)
class Sent:
    """The provider took the message. `ref` is its id for it, `""` where it gives none.

    `is_delivered`: there is nobody behind the provider; it has arrived.
    """

    ref: str = ""
    http_status: int | None = None
    is_delivered: bool = False


def storable(text: str) -> str:
    """What vendors answer as PostgreSQL can keep it: without NUL and halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()


class ProviderError(Exception):
    """A call that did not end in `Sent`.

    `code` is the provider's own word for it, `detail` a sentence without content or addresses,
    `retry_after` seconds the provider asked us to wait. Of `permanent_recipient`: `is_opt_out`
    where the person does not want our messages, `gone_since` where the address stopped working
    then (whoever registered it later is not meant), `may_be_ours` where a wrong set-up of ours gets
    the same answer for every address. `for_country`: the provider refuses the country, not us.
    `for_address`: the trouble is that of this one address, and the provider is well otherwise.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        code: str,
        detail: str = "",
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
        is_opt_out: bool = False,
        gone_since: datetime | None = None,
        for_country: bool = False,
        for_address: bool = False,
        may_be_ours: bool = False,
    ) -> None:
        super().__init__(f"{error_class.value}: {code}")
        self.error_class = error_class
        self.code = storable(code)[:100]
        self.detail = storable(detail)[:500]
        self.http_status = http_status
        self.retry_after = retry_after
        self.is_opt_out = is_opt_out
        self.gone_since = gone_since
        self.for_country = for_country
        self.for_address = for_address
        self.may_be_ours = may_be_ours


@dataclass(frozen=True, repr=False)
class ProviderEvent:
    """One thing a provider's webhook reports about one message.

    `dedupe` is unique per provider and event; `at` is when it happened there. `permanent` is set
    on bounces: True means the address is dead, False that the message met a passing obstacle.
    """

    type: EventType
    at: datetime
    dedupe: str
    attempt_id: UUID | None
    provider_ref: str = ""
    address: str = ""
    permanent: bool = False
    code: str = ""
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @override
    def __repr__(self) -> str:
        return f"<ProviderEvent {self.type.value} attempt={self.attempt_id}>"


@dataclass(frozen=True, repr=False)
class Inbound:
    """A message that a person sent to us. Addresses are as the provider gives them.

    `dedupe` is unique per provider. `wish` is set where the provider has already understood an
    opt-out keyword and answered it. `in_reply_to` holds the Message-IDs that an email names, the
    last of them the one it answers.
    """

    class Wish(TextChoices):
        STOP = "stop", "Stop"
        START = "start", "Start"
        HELP = "help", "Help"

    channel: Channel
    sender: str
    to: str
    text: str
    at: datetime
    dedupe: str
    subject: str = ""
    wish: str = ""
    in_reply_to: Sequence[str] = ()
    is_automatic: bool = False
    """An out-of-office note or another machine: never answered."""
    is_forged: bool = False
    """The provider's checks speak against its sender."""
    has_attachments: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    @override
    def __repr__(self) -> str:
        return f"<Inbound {self.channel.value}>"


Report = ProviderEvent | Inbound
"""What a provider's webhook can tell."""
