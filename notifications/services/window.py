"""Open a window: decide, bindingly, what may be sent now, and write down each call before it.

One short transaction; afterwards no connection is held while providers are called.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from commsproject.common.copy import copy_rows
from notifications import policy, queue
from notifications.models import Attempt, Delivery
from notifications.policy import Refusal
from notifications.providers.base import Provider
from notifications.services import plan, render
from notifications.services.route import Routes, Stranded
from notifications.states import PENDING, State
from notifications.types import Attachment, Channel, ErrorClass, Outbound, ProviderError
from templates_app import links
from templates_app.errors import TemplateError


@dataclass(frozen=True)
class Call:
    """One provider call that is written down and not yet made.

    `outbound` is an error where the message could not be made after all: no call is made then.
    """

    delivery: Delivery
    attempt: Attempt
    provider: Provider
    outbound: Outbound | ProviderError


@dataclass
class Window:
    calls: list[Call] = field(default_factory=list)
    refused: list[tuple[Delivery, Refusal]] = field(default_factory=list)
    stranded: list[tuple[Delivery, Stranded]] = field(default_factory=list)
    rounds: dict[UUID, int] = field(default_factory=dict)
    """How often each delivery has been tried by way of the providers: `_rounds`."""
    unknown: list[Delivery] = field(default_factory=list)
    """Called under an earlier claim whose process died before it could write the answer, or before
    it could leave the work that waits for the receipt. Never called again from here.
    """


def open_window(
    lease: queue.Lease, ids: Sequence[UUID], tried: Mapping[UUID, Collection[str]]
) -> Window:
    """Sort the pending deliveries among `ids`; `tried` names the providers each was refused by.

    Raises `queue.LeaseLost`.
    """
    window = Window()
    planned: list[tuple[Delivery, Attempt, Provider]] = []
    with transaction.atomic():
        queue.hold_token(lease)
        deliveries = lock_pending(ids)
        attempts = attempts_of(deliveries)
        routes = Routes(lease.channel)
        suppressed = plan.suppressed((d.channel, d.address_hash) for d in deliveries)
        now = timezone.now()
        for delivery in deliveries:
            earlier = attempts[delivery.id]
            delivery.attempts_made = len(earlier)
            window.rounds[delivery.id] = _rounds(earlier)
            if delivery.state == State.UNKNOWN or _is_open(earlier):
                window.unknown.append(delivery)
                continue
            refusal = policy.decide(_facts(delivery, suppressed, now))
            if refusal:
                window.refused.append((delivery, refusal))
                continue
            provider = _choose(routes, tried.get(delivery.id, ()), earlier)
            if isinstance(provider, Stranded):
                window.stranded.append((delivery, provider))
                continue
            planned.append((delivery, _attempt(lease, delivery, provider, earlier), provider))
        _mark_unknown(window.unknown)
        copy_rows(Attempt, (attempt for _, attempt, _ in planned))
    window.calls = [
        Call(delivery, attempt, provider, _outbound(delivery, attempt))
        for delivery, attempt, provider in planned
    ]
    return window


def lock_pending(ids: Sequence[UUID]) -> list[Delivery]:
    """The deliveries among `ids` that are not at an end, locked in one order for all."""
    rows = (
        Delivery.objects.select_for_update(of=("self",), no_key=True)
        .filter(id__in=ids, state__in=PENDING)
        .select_related("notification__category", "notification__template_version__template")
        .order_by("id")
    )
    return list(rows)


def attempts_of(deliveries: Sequence[Delivery]) -> dict[UUID, list[Attempt]]:
    """Read after the deliveries are locked, in a new statement: sees what their lock waited for."""
    found: dict[UUID, list[Attempt]] = defaultdict(list)
    for attempt in Attempt.objects.filter(delivery__in=deliveries):
        found[attempt.delivery_id].append(attempt)
    return found


def _facts(
    delivery: Delivery,
    suppressed: Mapping[tuple[str, str], Sequence[policy.Suppressed]],
    now: datetime,
) -> policy.Facts:
    category = delivery.notification.category
    return policy.Facts(
        now=now,
        expires_at=delivery.expires_at,
        category=category.key if category else "",
        is_essential=plan.is_essential(category),
        suppressed=suppressed.get((delivery.channel, delivery.address_hash), ()),
    )


def _choose(
    routes: Routes, refused_by: Collection[str], earlier: Sequence[Attempt]
) -> Provider | Stranded:
    """After an unknown outcome another provider is tried, where there is one."""
    silent = {a.provider for a in earlier if a.state == Attempt.State.UNKNOWN}
    excluded = {*refused_by, *silent}
    return routes.choose(excluded if routes.has_other_than(excluded) else refused_by)


_COSTS_NOTHING = {"lease_lost", "halted"}
"""Codes of attempts that were written down and then not made."""


def _rounds(attempts: Sequence[Attempt]) -> int:
    """How often all providers there are have had their turn: the calls of the most called one.

    A throttle is no failed try: it slows a message down and must not use up its chances.
    """
    turns = Counter(
        attempt.provider
        for attempt in attempts
        if attempt.state != Attempt.State.THROTTLED and attempt.code not in _COSTS_NOTHING
    )
    return max(turns.values(), default=0)


def _attempt(
    lease: queue.Lease, delivery: Delivery, provider: Provider, earlier: Sequence[Attempt]
) -> Attempt:
    return Attempt(
        delivery=delivery,
        work_id=lease.id,
        token=lease.token,
        number=len(earlier) + 1,
        provider=provider.name,
        started_at=timezone.now(),
    )


def _is_open(attempts: Sequence[Attempt]) -> bool:
    return any(attempt.state == Attempt.State.CALLING for attempt in attempts)


def _mark_unknown(deliveries: Sequence[Delivery]) -> None:
    """With the attempts in one transaction: a delivery whose outcome is unknown must never look
    like one that may be sent.
    """
    for delivery in deliveries:
        delivery.state = State.UNKNOWN
    if deliveries:
        Delivery.objects.bulk_update(deliveries, ["state", "attempts_made"])
        Attempt.objects.filter(delivery__in=deliveries, state=Attempt.State.CALLING).update(
            state=Attempt.State.UNKNOWN,
            error_class=ErrorClass.AMBIGUOUS,
            code="process_lost",
            detail="The process ended before it could write down the provider's answer.",
            ended_at=timezone.now(),
        )


# --- What the provider gets ------------------------------------------------------------------


def _outbound(delivery: Delivery, attempt: Attempt) -> Outbound | ProviderError:
    notification = delivery.notification
    version = notification.template_version
    content: render.Content = version.channels if version else notification.content or {}
    try:
        parts = render.render(content[delivery.channel], notification.data)
    except TemplateError as error:
        return ProviderError(ErrorClass.PERMANENT_MESSAGE, "render", str(error))
    return Outbound(
        attempt_id=attempt.id,
        delivery_id=delivery.id,
        notification_id=notification.id,
        channel=Channel(delivery.channel),
        to=delivery.address,
        parts=parts,
        number=attempt.number,
        agent_id=notification.agent_id,
        template_id=version.template.key if version else "",
        reply_to=notification.reply_to,
        headers=_headers(delivery),
        tags=notification.tags,
        metadata=notification.metadata,
        attachments=[
            Attachment(
                item["filename"],
                base64.b64decode(item["content"]),
                item.get("content_type", "application/octet-stream"),
            )
            for item in notification.attachments
        ],
    )


def _headers(delivery: Delivery) -> dict[str, str]:
    """RFC 8058 one-click unsubscribe, on every email that a person may refuse."""
    category = delivery.notification.category
    if delivery.channel != Channel.EMAIL or plan.is_essential(category):
        return {}
    token = links.unsubscribe_token(
        channel=delivery.channel,
        address_hash=delivery.address_hash,
        scope=category.key if category else policy.ALL,
        delivery_id=delivery.id,
    )
    return {
        "List-Unsubscribe": f"<{settings.PUBLIC_URL}/u/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
