"""What webhooks brought of people: raw bodies, what they wrote to us, what came back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import quote_plus
from uuid import UUID

from django.conf import settings
from django.db.models import BinaryField, F, Func, Q, QuerySet, TextField, Value

from commsproject.common.personal_data.registry import Erased, Holder, Person, register
from commsproject.common.personal_data.rows import fields, older, told
from notifications.models import Attempt, Delivery
from notifications.services import erase
from notifications.types import Channel
from tracking.models import (
    Bounce,
    InboundMessage,
    WebhookAttempt,
    WebhookDelivery,
    WebhookReceipt,
)

AT_ONCE = 500
"""Receipts that a step reads: some are of a megabyte."""

REPLAYS = timedelta(days=1)
"""Longer than any provider takes a signature."""

_UUID = re.compile(rb"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")


# --- Erasing -------------------------------------------------------------------------------------


def receipts(person: Person, after: str) -> Erased:
    """Bodies that name the person, or a message to them, become empty. A body tells of many people
    at once, and has long been applied; that it came is still known, so it is not taken twice.
    """
    found = WebhookReceipt.objects.order_by("id")
    if after:
        found = found.filter(id__gt=UUID(after))
    page = list(found[:AT_ONCE])
    words, sent = _words(person), _ids_of_messages(person)
    named = [row.id for row in page if _names(bytes(row.body) + row.path.encode(), words, sent)]
    WebhookReceipt.objects.filter(id__in=named).update(body=b"", path="")
    return Erased(len(named), str(page[-1].id) if len(page) == AT_ONCE else "")


def webhooks_out(person: Person, after: str) -> Erased:
    """Events for the endpoints of others: what was delivered, or still waits, is forgotten."""
    found = WebhookDelivery.objects.order_by("id")
    if after:
        found = found.filter(id__gt=UUID(after))
    page = list(found[:AT_ONCE])
    words, sent = _words(person), _ids_of_messages(person)
    named = [row.id for row in page if _names(row.body.encode(), words, sent)]
    WebhookAttempt.objects.filter(delivery__in=named).delete()
    WebhookDelivery.objects.filter(id__in=named).delete()
    return Erased(len(named), str(page[-1].id) if len(page) == AT_ONCE else "")


def _names(body: bytes, words: Iterable[bytes], sent: set[UUID]) -> bool:
    if not body:
        return False
    text = body.lower()
    if any(word in text for word in words):
        return True
    return any(UUID(one.decode()) in sent for one in _UUID.findall(text))


def _words(person: Person) -> set[bytes]:
    """As JSON, MIME and forms write them. A number also without its `+`."""
    given = [value.lower() for value in person.named(Channel.EMAIL, Channel.SMS, "device")]
    plain = [person.user_id.lower(), *given, *(one.lstrip("+") for one in given)]
    return {
        form.encode() for one in plain for form in (one, quote_plus(one).lower()) if len(one) > 3
    }


def _ids_of_messages(person: Person) -> set[UUID]:
    """What we give a vendor along with a message: of the message, its delivery and its attempts."""
    deliveries = _deliveries(person)
    found = set(deliveries.values_list("id", flat=True))
    found.update(deliveries.values_list("notification_id", flat=True))
    found.update(Attempt.objects.filter(delivery__in=deliveries).values_list("id", flat=True))
    return found


def _deliveries(person: Person) -> QuerySet[Delivery]:
    return Delivery.objects.order_by().filter(
        Q(notification__recipient__in=person.named("recipient"))
        | Q(address_hash__in=erase.hashes(person), notification__recipient__isnull=True)
    )


def _inbound(person: Person) -> QuerySet[InboundMessage]:
    return InboundMessage.objects.filter(sender_hash__in=erase.hashes(person))


def _bounces(person: Person) -> QuerySet[Bounce]:
    return Bounce.objects.filter(
        Q(address_hash__in=erase.hashes(person))
        | Q(delivery_id__in=_deliveries(person).values("id"))
    )


def inbound(person: Person, _after: str) -> Erased:
    """That they wrote, and what they wished, stays with the hash of their address. Their mail
    program has named the message, so that name is hashed too.
    """
    found = _inbound(person).exclude(sender="")
    return Erased(
        found.update(
            sender="",
            subject="",
            text="",
            dedupe=_hashed("dedupe"),
        )
    )


def _hashed(column: str) -> Func:
    binary = Func(F(column), Value("UTF8"), function="convert_to", output_field=BinaryField())
    return Func(
        Func(binary, function="sha256"), Value("hex"), function="encode", output_field=TextField()
    )


def bounces(person: Person, _after: str) -> Erased:
    return Erased(_bounces(person).exclude(detail="").update(detail=""))


# --- Letting go ----------------------------------------------------------------------------------


def _log_age() -> timedelta:
    return timedelta(days=settings.LOG_DAYS)


def _receipt_age() -> timedelta:
    """By a receipt it is known that a signature came before: for as long as one is taken."""
    return max(_log_age(), REPLAYS)


def _content_age() -> timedelta:
    return timedelta(days=settings.CONTENT_DAYS)


_UNTRIED = (
    "next_try_at IS NULL AND NOT EXISTS (SELECT FROM tracking_webhookattempt"
    " WHERE delivery_id = tracking_webhookdelivery.id)"
)
"""Tries go first: they hang on it."""

# --- All of it -----------------------------------------------------------------------------------

HOLDER = Holder(
    name="tracking",
    exports={
        "message in": told(_inbound, lambda row: fields(row, "id", "sender_hash", "dedupe")),
        "bounce": told(_bounces, lambda row: fields(row, "id", "event_id", "address_hash")),
    },
    erasures={
        "webhooks": receipts,
        "webhooks out": webhooks_out,
        "messages in": inbound,
        "bounces": bounces,
    },
    purges=(
        older(WebhookReceipt, _receipt_age, "older than LOG_DAYS"),
        older(InboundMessage, _content_age, "older than CONTENT_DAYS"),
        older(Bounce, _content_age, "older than CONTENT_DAYS"),
        older(WebhookAttempt, _log_age, "older than LOG_DAYS"),
        older(WebhookDelivery, _log_age, "older than LOG_DAYS", where=_UNTRIED),
    ),
)


def registered() -> None:
    register(HOLDER)
