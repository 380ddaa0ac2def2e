"""Webhook endpoints: who may hear of what, their secrets, and trying and repeating deliveries."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from commsproject.common import alerts, clock, egress
from commsproject.common.errors import Conflict, InvalidInput, NotFound
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from commsproject.common.outbox import Event, catalogue, envelope
from tracking.models import WebhookDelivery, WebhookEndpoint
from tracking.services import webhook_signing

MOST = 50
"""Endpoints of one agent."""

TEST = "webhook.test"

_NEEDS = {
    "recipient": Scope.AUDIENCE_READ,
    "provider": Scope.PROVIDERS_READ,
    "conversation": Scope.CONVERSATIONS_READ,
    "alert": Scope.ALERTS_READ,
}
"""The scope that an agent needs to hear of events, by the first word of their type."""


def of_client(client: ApiClient) -> QuerySet[WebhookEndpoint]:
    """The agent's own. Every read and change of an agent starts here."""
    return WebhookEndpoint.objects.filter(client=client)


def get(client: ApiClient, endpoint_id: UUID) -> WebhookEndpoint:
    """Raises `NotFound`."""
    found = of_client(client).filter(id=endpoint_id).first()
    if found is None:
        raise NotFound
    return found


def create(
    client: ApiClient, scopes: Collection[str], fields: Mapping[str, Any]
) -> WebhookEndpoint:
    """Raises `InvalidInput`, and `Conflict` where the agent has too many."""
    check(fields, scopes)
    if of_client(client).count() >= MOST:
        raise Conflict(f"An agent has at most {MOST} endpoints.")
    return WebhookEndpoint.objects.create(client=client, **fields)


@transaction.atomic
def change(
    endpoint: WebhookEndpoint, scopes: Collection[str], fields: Mapping[str, Any]
) -> WebhookEndpoint:
    """What is not in `fields` stays. Raises `InvalidInput`, and `NotFound` where it is gone."""
    check(fields, scopes)
    row = _locked(endpoint)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=list(fields))
    if fields.get("is_active"):
        enable(row)
    return row


def check(fields: Mapping[str, Any], scopes: Collection[str] | None) -> None:
    """Raises `InvalidInput`. `scopes` are the agent's; None: staff, who may hear of everything."""
    if "url" in fields:
        try:
            egress.check(fields["url"])
        except egress.Forbidden as error:
            raise InvalidInput.of("url", "bad_url", str(error)) from None
    for index, kind in enumerate(fields.get("events", ())):
        _check_kind(f"events.{index}", kind, scopes)


def _check_kind(field: str, kind: str, scopes: Collection[str] | None) -> None:
    if not any(_matches(kind, known) for known in catalogue.KINDS if known != TEST):
        known = ", ".join(name for name in catalogue.KINDS if name != TEST)
        message = f"No event is called so. There are {known}, and `notification.*` and the like."
        raise InvalidInput.of(field, "unknown_event", message)
    if scopes is None:
        return
    needed = _NEEDS.get(_area(kind))
    if needed and needed not in scopes:
        raise InvalidInput.of(field, "scope", f"This key needs the scope {needed.value} for it.")


def _area(kind: str) -> str:
    return kind.partition(".")[0]


def _matches(wanted: str, kind: str) -> bool:
    """`notification.*` matches all that begin so."""
    return kind.startswith(wanted[:-1]) if wanted.endswith(".*") else kind == wanted


@transaction.atomic
def delete(endpoint: WebhookEndpoint) -> None:
    """With what waits for it and its log.

    Locked first, and from the top: a worker may just be making a delivery or writing down a try, which
    has to come before or after, not in between.
    """
    WebhookEndpoint.objects.select_for_update().filter(id=endpoint.id).first()
    list(endpoint.deliveries.select_for_update().order_by("id").values_list("id"))
    endpoint.delete()


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """As it is now. Raises `NotFound` where it was deleted since it was read."""
    row = WebhookEndpoint.objects.select_for_update(no_key=True).filter(id=endpoint.id).first()
    if row is None:
        raise NotFound
    return row


def enable(endpoint: WebhookEndpoint) -> None:
    """Send again what waits, from now on."""
    endpoint.is_active, endpoint.disabled_reason, endpoint.failing_since = True, "", None
    endpoint.save(update_fields=["is_active", "disabled_reason", "failing_since"])
    alerts.resolve(alert_key(endpoint.id))


def gone(endpoint_id: UUID) -> None:
    """It was deleted, by whomever: nobody need look at it."""
    alerts.resolve(alert_key(endpoint_id))


def alert_key(endpoint_id: UUID) -> str:
    return f"webhook.{endpoint_id}"


# --- Secrets -------------------------------------------------------------------------------------


def secret_of(endpoint: WebhookEndpoint) -> str:
    return webhook_signing.secret(endpoint.id, endpoint.secret_number)


@transaction.atomic
def rotate(endpoint: WebhookEndpoint) -> str:
    """The new secret. The one before goes on to sign for `OVERLAP`, those before it do not.

    Raises `NotFound` where the endpoint is gone.
    """
    row = _locked(endpoint)
    row.secret_number += 1
    row.previous_until = clock.now() + webhook_signing.OVERLAP
    row.save(update_fields=["secret_number", "previous_until"])
    endpoint.secret_number, endpoint.previous_until = row.secret_number, row.previous_until
    return secret_of(row)


# --- What an endpoint hears ----------------------------------------------------------------------

_KEPT_SECONDS = 1.0
_kept: tuple[float, frozenset[str]] = (float("-inf"), frozenset())


def wants(kind: str) -> bool:
    """Whether any endpoint hears of such events. A new one is heard of within a second."""
    global _kept
    now = time.monotonic()
    if now - _kept[0] > _KEPT_SECONDS:
        _kept = (
            now,
            frozenset(wanted for one in _listening() for wanted in _all(one)),
        )
    return any(_matches(wanted, kind) for wanted in _kept[1])


def _listening() -> QuerySet[WebhookEndpoint]:
    """Not those of an agent that staff have switched off."""
    return WebhookEndpoint.objects.filter(is_active=True).exclude(client__is_active=False)


def _all(endpoint: WebhookEndpoint) -> Sequence[str]:
    """Its filters; for none, what stands for all that it may hear of."""
    if endpoint.events:
        return endpoint.events
    if endpoint.client_id:
        return ["notification.*"]
    return list(catalogue.KINDS)


def take(events: Sequence[Event]) -> None:
    """A delivery for each endpoint that an event is for. Safe to repeat."""
    active = list(_listening())
    allowed = _allowed(active, events)
    rows = [
        row
        for event in events
        if (ears := [one for one in active if _hears(one, event, allowed)])
        for row in _deliveries(ears, event)
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def _hears(endpoint: WebhookEndpoint, event: Event, allowed: Collection[tuple[UUID, str]]) -> bool:
    if not _wishes(endpoint, event.type):
        return False
    if endpoint.client_id is None or _area(event.type) not in _owners:
        return True
    return (endpoint.client_id, event.id) in allowed


def _wishes(endpoint: WebhookEndpoint, kind: str) -> bool:
    return any(_matches(wanted, kind) for wanted in _all(endpoint))


# --- Whose an event is ---------------------------------------------------------------------------

Wish = tuple[UUID, Event]
"""An agent, and an event that it has asked for."""

MayHear = Callable[[Sequence[Wish]], Collection[tuple[UUID, str]]]
"""Of wishes those that are granted: the agents, and the ids of the events."""


def _sent_by_it(wishes: Sequence[Wish]) -> set[tuple[UUID, str]]:
    return {(agent, event.id) for agent, event in wishes if event.data.get("agent") == str(agent)}


_owners: dict[str, MayHear] = {"notification": _sent_by_it}
"""By the first word of a type. The other events are of nobody: a scope is enough."""


def own(area: str, may_hear: MayHear) -> None:
    """Have `may_hear` say which agents hear of these events; for an app's `ready`."""
    _owners[area] = may_hear


def _allowed(
    endpoints: Sequence[WebhookEndpoint], events: Sequence[Event]
) -> set[tuple[UUID, str]]:
    by_area: dict[str, list[Wish]] = defaultdict(list)
    for event in events:
        for one in endpoints:
            if one.client_id and _wishes(one, event.type):
                by_area[_area(event.type)].append((one.client_id, event))
    return {
        granted
        for area, wishes in by_area.items()
        if area in _owners
        for granted in _owners[area](wishes)
    }


def _deliveries(endpoints: Sequence[WebhookEndpoint], event: Event) -> list[WebhookDelivery]:
    body = envelope.encode(event).decode()
    subject = catalogue.subject(event.type, event.data)[:200]
    now = clock.now()
    return [
        WebhookDelivery(
            endpoint=endpoint,
            event_id=event.id,
            type=event.type,
            subject=subject,
            body=body,
            next_try_at=now,
        )
        for endpoint in endpoints
    ]


# --- Trying and repeating ------------------------------------------------------------------------


@transaction.atomic
def test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Have a test event sent, by a worker. Raises `Conflict` where the endpoint is off, `NotFound`
    where it is gone.
    """
    if not _locked(endpoint).is_active:
        raise Conflict("This endpoint is switched off.")
    now = clock.now()
    data = {"endpoint_id": str(endpoint.id), "timestamp": now.isoformat()}
    (row,) = _deliveries([endpoint], Event(str(new_id()), TEST, now, data))
    row.save()
    return row


REPLAYED = 10_000
"""Deliveries of one replay, at most."""


@dataclass(frozen=True)
class Wanted:
    """Which deliveries: one, or those of events since and until, perhaps only those not taken."""

    delivery_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_failed: bool = False


@transaction.atomic
def replay(endpoint: WebhookEndpoint, wanted: Wanted) -> int:
    """Send them once more, the oldest first, with the ids they had; how many.

    Those that wait anyway are left alone. Raises `NotFound` for a delivery that is not the
    endpoint's.
    """
    rows = endpoint.deliveries.all()
    if wanted.delivery_id:
        rows = rows.filter(id=wanted.delivery_id)
        if not rows.exists():
            raise NotFound
    if wanted.since:
        rows = rows.filter(created_at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(created_at__lt=wanted.until)
    if wanted.only_failed:
        rows = rows.filter(delivered_at=None)
    done = rows.filter(next_try_at=None).order_by("id").select_for_update()[:REPLAYED]
    return WebhookDelivery.objects.filter(id__in=[row.id for row in done.only("id")]).update(
        next_try_at=clock.now(), round=F("tries"), delivered_at=None
    )
