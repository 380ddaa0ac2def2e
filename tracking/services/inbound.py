"""Messages from people: stored once, tied to what they answer, and obeyed where they ask to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress as suppress_error
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from commsproject.common import alerts, ids
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient
from notifications import addresses, keywords
from notifications.models import Category, Delivery
from notifications.providers import registry
from notifications.services import centre, submit, suppress
from notifications.services.asked import Submission, Target
from notifications.services.preferences import Said
from notifications.types import Channel, Inbound, storable
from tracking.models import InboundMessage
from tracking.signals import inbound_received

log = structlog.get_logger(__name__)

Wish = Inbound.Wish

SYSTEM = "system"
"""The agent in whose name answers are sent. Nobody has a key of it."""

CATEGORY = "sms-answers"

ANSWER_WITHIN = timedelta(minutes=5)
"""A later answer would be a message that nobody asked for (47 CFR 64.1200(a)(12))."""

ANSWERS_WITHIN = timedelta(days=30)
"""How old the last message to a number may be for a text from there to be its answer."""

MAX_TEXT = 200_000

UNMATCHED = "sms.stop_unmatched"
UNMATCHED_FOR = timedelta(days=7)
"""An alert, and how long it stands after the last of them."""

_BY_KEYWORD = "keyword"


def record(provider: str, reports: Sequence[Inbound], *, received_at: datetime) -> None:
    """Store the messages that are new and do what they ask, in the caller's transaction."""
    if not reports:
        return
    senders = [_sender(report) for report in reports]
    _one_at_a_time({digest for _, digest in senders})
    stored: list[UUID] = []
    for report, (sender, digest) in zip(reports, senders, strict=True):
        row = _row(provider, report, sender, digest, received_at)
        InboundMessage.objects.bulk_create([row], ignore_conflicts=True)
        if InboundMessage.objects.filter(id=row.id).exists():
            stored.append(row.id)
            _obey(row, report, received_at)
    transaction.on_commit(partial(_announce, stored), robust=True)


def _announce(stored: Sequence[UUID]) -> None:
    if stored:
        inbound_received.send_robust(sender=InboundMessage, ids=list(stored))


def _sender(report: Inbound) -> tuple[str, str]:
    """The address in normal form, if it has one (a short code has none), and its digest."""
    given = storable(report.sender).strip()[: addresses.MAX_LENGTH]
    with suppress_error(addresses.BadAddress):
        if report.channel is Channel.SMS:
            given = addresses.heard_from(given, report.to)
        else:
            given = addresses.normalise(report.channel, given)
    return given, addresses.digest(report.channel, given)


def _one_at_a_time(digests: set[str]) -> None:
    """Until the end of the transaction: a STOP and a START of one person must not cross."""
    with connection.cursor() as cursor:
        for digest in sorted(digests):
            key = f"inbound:{digest}"
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def _row(
    provider: str, report: Inbound, sender: str, digest: str, received_at: datetime
) -> InboundMessage:
    return InboundMessage(
        provider=provider,
        dedupe=_dedupe(report.dedupe),
        channel=report.channel.value,
        sender=sender,
        sender_hash=digest,
        to=storable(report.to)[:320],
        subject=storable(report.subject)[:998],
        text=storable(report.text)[:MAX_TEXT],
        notification_id=_answered(report, digest),
        wish=_wish(report, digest),
        is_automatic=report.is_automatic,
        is_forged=report.is_forged,
        has_attachments=report.has_attachments,
        # Vendors that tell no time leave us that of reading, and readers overtake each other.
        at=min(report.at, received_at),
    )


def _dedupe(told: str) -> str:
    told = storable(told)
    return told if len(told) <= 200 else hashlib.sha256(told.encode()).hexdigest()


# --- What it answers ---------------------------------------------------------------------------


def _answered(report: Inbound, digest: str) -> UUID | None:
    """The notification: of an email the one it names, of a text the last that we sent there."""
    if report.channel is Channel.EMAIL:
        named = [key for one in report.in_reply_to if (key := _delivery_id(one))]
        found = dict(Delivery.objects.filter(id__in=named).values_list("id", "notification_id"))
        return next((found[key] for key in reversed(named) if key in found), None)
    since = ids.floor(report.at - ANSWERS_WITHIN)
    sent = Delivery.objects.filter(
        address_hash=digest, channel=report.channel, id__gte=since, attempts_made__gt=0
    )
    own = sent.exclude(notification__category__key=CATEGORY)
    return own.order_by("-id").values_list("notification_id", flat=True).first()


def _delivery_id(message_id: str) -> UUID | None:
    """Our Message-IDs are `<delivery@domain>`."""
    try:
        return UUID(message_id.strip("<> ").partition("@")[0])
    except ValueError:
        return None


def watch() -> None:
    """Tell staff where somebody asked to stop and nobody can tell for which number: for a week."""
    since = ids.floor(timezone.now() - UNMATCHED_FOR)
    rows = InboundMessage.objects.filter(id__gte=since, channel=Channel.SMS, wish=Wish.STOP)
    unmatched = rows.exclude(sender__regex=InboundMessage.NUMBER).count()
    if not unmatched:
        alerts.resolve(UNMATCHED)
        return
    alerts.raise_once(
        UNMATCHED,
        severity=alerts.Severity.WARNING,
        title=f"{unmatched} asked to stop from what is no telephone number",
        detail='Under "Messages in", the wish Stop with a sender that has no +: a short code, a '
        "name, or a number without its country. Where you know the number, put it on the suppression "
        "list. Of numbers without their country it helps to set SMS_COUNTRIES to your only one.",
    )


# --- What it asks ------------------------------------------------------------------------------


def _wish(report: Inbound, digest: str) -> str:
    """As the provider understood it, or as we do. `yes` of somebody who never opted out is a word
    like any other.
    """
    if report.wish or report.channel is not Channel.SMS:
        return report.wish
    found = keywords.wish(report.text)
    if found is Wish.START and not suppress.has_opted_out(Channel.SMS, digest):
        return ""
    return found.value if found else ""


def _obey(row: InboundMessage, report: Inbound, received_at: datetime) -> None:
    if row.channel != Channel.SMS or not row.wish or _is_overtaken(row):
        return
    if not row.is_from_number:  # nothing that we send has such an address
        log.warning("wish of no number", inbound=str(row.id), wish=row.wish)
        return
    wish = Wish(row.wish)
    is_news = True
    said = Said(_BY_KEYWORD, {"inbound": str(row.id)}, row.sender_hash)
    if wish is Wish.STOP:
        is_news = centre.stop(Channel.SMS, said)
    elif wish is Wish.START:
        is_news = centre.start(Channel.SMS, said)
    if is_news and not row.is_automatic and not _is_answered_already(row, report):
        _answer(row, wish, received_at)


def _is_overtaken(row: InboundMessage) -> bool:
    """Whether the person has said the opposite since: webhooks come in any order. Of a STOP and a
    START at the same moment the STOP counts.
    """
    since = InboundMessage.objects.filter(channel=row.channel, sender_hash=row.sender_hash)
    match Wish(row.wish):
        case Wish.STOP:
            return since.filter(wish=Wish.START, at__gt=row.at).exists()
        case Wish.START:
            return since.filter(wish=Wish.STOP, at__gte=row.at).exists()
    return False


def _is_answered_already(row: InboundMessage, report: Inbound) -> bool:
    """By the vendor: what it understood itself, or would have."""
    provider = registry.enabled().get(row.provider)
    return (
        provider is not None
        and provider.confirms_opt_outs
        and (bool(report.wish) or keywords.is_vendors(report.text))
    )


def _answer(row: InboundMessage, wish: Wish, received_at: datetime) -> None:
    """Once a day for each wish of a number, whatever it sends us."""
    text = _texts()[wish].replace("{brand}", settings.SMS_BRAND)
    if not text:
        return
    day = f"{received_at:%Y-%m-%d}"
    (result,) = submit.accept(
        _system(),
        [
            Submission(
                to=Target(addresses={Channel.SMS: row.sender}),
                content={"text": text},
                channels=[Channel.SMS],
                category=_category().key,
                expires_at=received_at + ANSWER_WITHIN,
                idempotency_key=f"inbound:{wish.value}:{row.sender_hash}:{day}",
            )
        ],
    )
    if isinstance(result, CommsError):
        log.warning("wish not answered", inbound=str(row.id), error=result.code)


def _texts() -> dict[Wish, str]:
    return {
        Wish.STOP: settings.SMS_STOP_TEXT,
        Wish.START: settings.SMS_START_TEXT,
        Wish.HELP: settings.SMS_HELP_TEXT,
    }


def _system() -> ApiClient:
    agent, _ = ApiClient.objects.get_or_create(name=SYSTEM, defaults={"is_active": False})
    return agent


def _category() -> Category:
    """Essential: the answer to a STOP must reach who has just opted out."""
    defaults = {"name": "Answers to text messages", "kind": Category.Kind.ESSENTIAL}
    category, _ = Category.objects.get_or_create(key=CATEGORY, defaults=defaults)
    return category
