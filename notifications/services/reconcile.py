"""Settle deliveries whose outcome is unknown and whose receipt did not come in time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction

from commsproject.common import clock, ids
from notifications import queue, retry, sms
from notifications.models import Attempt
from notifications.providers import registry
from notifications.providers.base import Provider
from notifications.retry import AfterUnknown
from notifications.services import complete, compose, items, status
from notifications.services.calls import Runner
from notifications.services.complete import Outcome, Successor
from notifications.services.items import Item, Past
from notifications.states import State
from notifications.types import ErrorClass, Inquiry, ProviderError, ProviderEvent
from templates_app.errors import TemplateError

log = structlog.get_logger(__name__)

NEAR = timedelta(minutes=1)
"""Before a call. What a look-up takes for its message was made at the time of the call, by the
vendor's clock.
"""


async def run(lease: queue.Lease, runner: Runner) -> None:
    """Ask the providers that can tell, then carry out one claim of reconcile work."""
    asked = await runner.database(_inquiries, lease)
    if asked:
        found = await asyncio.gather(*(_ask(provider, one, runner) for provider, one in asked))
        events: dict[str, list[ProviderEvent]] = defaultdict(list)
        for (provider, _), told in zip(asked, found, strict=True):
            events[provider.name] += told
        for name, told in events.items():
            await runner.database(_apply, name, told)
    await runner.database(settle, lease)


def _inquiries(lease: queue.Lease) -> list[tuple[Provider, Inquiry]]:
    """The calls of a claim that were not answered, of providers that can be asked about them."""
    able = {name: one for name, one in registry.enabled().items() if one.looks_up}
    if not able:
        return []
    with transaction.atomic():
        found = items.lock(dict.fromkeys(lease.ids, lease), lease.ids)
    unsettled = (
        (item, call)
        for item in found
        for call in item.past
        if call.state == Attempt.State.UNKNOWN and call.provider in able
    )
    asked = ((able[call.provider], _inquiry(item, call)) for item, call in unsettled)
    return [(provider, inquiry) for provider, inquiry in asked if inquiry]


def _inquiry(item: Item, call: Past) -> Inquiry | None:
    """None where it can no longer be said what was sent: its data was erased."""
    try:
        parts, _ = compose.rendered(item)
    except (TemplateError, sms.TooLong):
        return None
    others = () if call.ref else _others(item, call)
    return Inquiry(call.id, item.channel, item.address, parts, call.started_at, call.ref, others)


def _others(item: Item, call: Past) -> Collection[str]:
    """What the provider calls the messages to that address of other calls at that time."""
    near = Attempt.objects.filter(
        id__gte=ids.floor(call.started_at - NEAR),
        provider=call.provider,
        delivery__address_hash=item.address_hash,
    )
    refs = near.exclude(provider_ref="").values_list("provider_ref", flat=True)
    return frozenset(refs)


async def _ask(provider: Provider, inquiry: Inquiry, runner: Runner) -> list[ProviderEvent]:
    """Nothing where it does not answer either: then the wait was all there is."""
    try:
        async with provider.place(), runner.thread():
            return await runner.provider(provider.status, inquiry)
    except ProviderError as error:
        log.warning("look-up failed", provider=provider.name, error=str(error))
    except TimeoutError:
        log.warning("look-up failed", provider=provider.name, error="it hung")
    except Exception:  # a defect in one provider must not stop the others
        log.exception("provider defect", provider=provider.name)
    return []


def _apply(provider: str, told: Sequence[ProviderEvent]) -> None:
    """As a webhook would. What cannot be applied is as good as no answer."""
    try:
        status.apply(provider, told)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("look-up not applied", provider=provider)


def settle(lease: queue.Lease) -> None:
    """Carry out one claim of reconcile work; nothing where it is no longer ours."""
    with transaction.atomic():
        if not queue.hold([lease]):
            return
        found = items.lock(dict.fromkeys(lease.ids, lease), lease.ids)
        again = Successor(lease, Successor.SEND, clock.now())
        alone = Successor(lease, Successor.SEND, clock.now(), suspect=True)
        wait = Successor(lease, Successor.RECONCILE, clock.now() + retry.HOLD_FOR)
        outcomes = [
            _decide(item, alone if _is_suspect(item) else again, wait)
            for item in found
            if item.state == State.UNKNOWN
        ]
        left = [one for one in (again, alone, wait) if one.ids]
        complete.record([lease], outcomes, [lease], left)


def _is_suspect(item: Item) -> bool:
    """Two workers died during its calls: were it sent with others again, theirs could be lost too."""
    return sum(call.code == items.PROCESS_LOST for call in item.past) >= queue.SUSPECT_AT


def _decide(item: Item, again: Successor, wait: Successor) -> Outcome:
    since = _asked_at(item) or item.first_due
    match retry.after_unknown(
        item.lease.lane,
        hold=item.holds_unknown,
        waited=clock.now() - since,
        copies=sum(call.state == Attempt.State.UNKNOWN for call in item.past),
    ):
        case AfterUnknown.RESEND:
            again.ids.append(item.id)
            return Outcome(item, state=State.QUEUED, reason="no receipt came; sending again")
        case AfterUnknown.WAIT:
            wait.ids.append(item.id)
            wait.due_at = min(wait.due_at, since + retry.HOLD_FOR)
            return Outcome(item, state=State.UNKNOWN, reason="held until a receipt comes")
        case AfterUnknown.END_UNCONFIRMED:
            return Outcome(item, state=State.UNCONFIRMED, reason="no receipt came in 24 hours")
        case AfterUnknown.GIVE_UP:
            reason = "no provider ever answered"
            return Outcome(item, answer=_last_silence(item), state=State.DEAD, reason=reason)


def _asked_at(item: Item) -> datetime | None:
    """When a provider was last left without an answer."""
    return max((call.ended_at for call in item.past if call.ended_at), default=None)


def _last_silence(item: Item) -> ProviderError:
    """For the dead letter: how the last call ended that was not answered."""
    codes = [call.code for call in item.past if call.state == Attempt.State.UNKNOWN]
    return ProviderError(ErrorClass.AMBIGUOUS, codes[-1] if codes else "")
