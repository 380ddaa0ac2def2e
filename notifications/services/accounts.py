"""What vendors say of our accounts: their rates become limits, their trouble becomes alerts, and
staff are told whether they would take our messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import transaction

from commsproject.common import alerts, clock
from notifications.models import ProviderChange, ProviderState
from notifications.providers import registry
from notifications.providers.account import Check, Quota, Verdict
from notifications.providers.base import Provider
from notifications.types import ErrorClass, ProviderError

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_SECONDS = 3.0
"""For one answer. The scheduler's other jobs wait meanwhile."""

CHECK_SECONDS = 15.0
"""For all that a provider is asked, by each one of `check`."""

QUOTA_FIELDS = ("quota_per_second", "quota_per_day", "quota_sent", "quota_trouble", "quota_at")

NEARLY_USED = 0.8
"""The part of a day's quota from which on staff are told."""


def poll() -> None:
    """Ask each vendor that can tell what it lets us send. One that does not answer is left as it
    was; raises `ProviderError` or `TimeoutError` of the last of them, for the job's own record.
    """
    failed: Exception | None = None
    on = registry.enabled()
    for name in settings.PROVIDERS:
        provider = on.get(name)
        if provider is None or not provider.knows_quota:
            _resolve(name)
            continue
        try:
            _note(name, _within(POLL_SECONDS, provider.quota))
        except (ProviderError, TimeoutError) as error:
            log.warning("provider tells no quota", provider=name, error=str(error))
            failed = error
    if failed is not None:
        raise failed


@transaction.atomic
def _note(name: str, quota: Quota) -> None:
    ProviderState.objects.get_or_create(name=name)
    row = ProviderState.objects.select_for_update().get(name=name)
    was, row.quota_per_second = row.quota_per_second, quota.per_second
    row.quota_per_day, row.quota_sent = quota.per_day, quota.sent
    row.quota_trouble, row.quota_at = quota.trouble[:200], clock.now()
    row.save(update_fields=[*QUOTA_FIELDS])
    if was != quota.per_second:
        ProviderChange.objects.create(
            provider=row,
            at=row.quota_at,
            was="unknown rate" if was is None else f"{was:g} a second",
            now=f"{quota.per_second:g} a second",
            reason="its maximum rate, as the vendor says",
        )
    _tell(name, quota)


def _tell(name: str, quota: Quota) -> None:
    if quota.trouble:
        alerts.raise_once(
            _standing(name),
            severity=alerts.Severity.CRITICAL,
            title=f"The account at {name} is in trouble: {quota.trouble}",
            detail="Messages may be refused. The vendor's console says more.",
        )
    else:
        alerts.resolve(_standing(name))
    if quota.per_day and quota.sent >= NEARLY_USED * quota.per_day:
        used_up = quota.sent >= quota.per_day
        alerts.raise_once(
            _used(name),
            severity=alerts.Severity.CRITICAL if used_up else alerts.Severity.WARNING,
            title=f"{quota.sent / quota.per_day:.0%} of the day's quota at {name} is used",
            detail=f"{quota.sent:,.0f} of {quota.per_day:,.0f} in the last 24 hours. "
            f"Once it is used up, {name} refuses all messages.",
        )
    else:
        alerts.resolve(_used(name))


def _resolve(name: str) -> None:
    alerts.resolve(_standing(name))
    alerts.resolve(_used(name))


def _standing(name: str) -> str:
    return f"provider.{name}.account"


def _used(name: str) -> str:
    return f"provider.{name}.quota"


@dataclass(frozen=True)
class Checked:
    """A provider and what was found. `state`: `on`, `off` (no credentials) or `switched off` (by
    staff).
    """

    provider: str
    channels: str
    state: str
    checks: Sequence[Check]

    @property
    def failed(self) -> bool:
        """Whether it would refuse messages that we give it."""
        return self.state == ON and any(one.verdict is Verdict.FAILED for one in self.checks)


ON, OFF, SWITCHED_OFF = "on", "off", "switched off"
NOT_SET = Check("credentials", "not set", advice="Set its variables to turn it on.")


def check() -> list[Checked]:
    """Ask every vendor whose credentials are set, all at once. Sends no message."""
    staff_off = set(ProviderState.objects.filter(enabled=False).values_list("name", flat=True))
    on = registry.enabled()
    with ThreadPoolExecutor(max_workers=max(len(on), 1)) as pool:
        asked = dict(zip(on, pool.map(_checks, on.values()), strict=True))
    found = []
    for name in settings.PROVIDERS:
        if name not in on:
            found.append(Checked(name, "", OFF, [NOT_SET]))
            continue
        state = SWITCHED_OFF if name in staff_off else ON
        channels = ", ".join(sorted(channel.value for channel in on[name].channels))
        found.append(Checked(name, channels, state, asked[name]))
    return found


def _checks(provider: Provider) -> list[Check]:
    """Told as far as they went in time."""
    found = list(_own(provider))
    if any(one.verdict is Verdict.FAILED for one in found):
        return found

    def ask() -> None:
        for one in provider.check():
            found.append(one)  # noqa: PERF402 - what came before an error counts

    try:
        _within(CHECK_SECONDS, ask)
    except Exception as error:  # noqa: BLE001 - one provider must not hide the others
        return [*found, _refusal(error)]
    return found or [Check("options", "complete; there is nobody to ask")]


def _own(provider: Provider) -> Iterator[Check]:
    """What can be said without asking anybody."""
    for problem in provider.problems():
        yield Check("options", problem, Verdict.FAILED, "Mend the variable.")
    if provider.receipts_need:
        advice = f"Set {provider.receipts_need}."
        yield Check("receipts", "none can be verified", Verdict.WARNING, advice)


_ADVICE = {
    ErrorClass.AUTH_CONFIG: "Check the credentials, what they permit, and the URL.",
    ErrorClass.THROTTLED: "Ask again in a minute.",
}
_UNREACHABLE = "Is the vendor reachable from here, and well?"


def _refusal(error: Exception) -> Check:
    if isinstance(error, ProviderError):
        advice = _ADVICE.get(error.error_class, _UNREACHABLE)
        return Check("vendor", f"{error.code}: {error.detail}", Verdict.FAILED, advice)
    if isinstance(error, TimeoutError):
        return Check("vendor", "no answer in time", Verdict.FAILED, _UNREACHABLE)
    # Its text may hold anything.
    return Check("vendor", f"not understood ({type(error).__name__})", Verdict.FAILED, _UNREACHABLE)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises, if it does so in time; else `TimeoutError`, and it is left to
    itself: a vendor that drips its answer keeps every time limit of a socket.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(timeout=seconds)
