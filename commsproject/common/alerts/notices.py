"""Telling the targets: what is to be told is rows, each tried until it is taken or a day is over.

Of the same thing nobody is told again before its cool-down is over, however often it comes and goes.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone

from commsproject.common.alerts import targets
from commsproject.common.alerts.targets import NotTaken, Words
from commsproject.common.models import Alert, AlertNotice, AlertTarget, Severity

log = structlog.get_logger(__name__)

Told = Alert.Told
Kind = AlertNotice.Kind

COOL_DOWN = timedelta(minutes=30)
"""Of alerts that no rule has raised."""

LOOK_SECONDS = 1.0
AT_ONCE = 50
LEASE = timedelta(minutes=2)
"""How long a notice is one process's; a target that hangs has answered or failed by then."""

LONGEST_WAIT = timedelta(minutes=15)
TRIES = 100
"""With the waits between them, about a day."""

KEEP = timedelta(days=30)


# --- What is to be told --------------------------------------------------------------------------


def write() -> None:
    """Write down what the targets have not been told yet."""
    targets.keep_settings()
    now = timezone.now()
    with transaction.atomic():
        for alert in _locked().filter(resolved_at=None).exclude(told=F("severity")):
            if alert.told != Told.CRITICAL and not _is_cooling(alert, now):
                _write(alert, Kind.RAISED)
                Alert.objects.filter(id=alert.id).update(told=alert.severity, told_at=now)
        over = _locked().filter(resolved_at__isnull=False, told__in=[Told.WARNING, Told.CRITICAL])
        for alert in over:
            _write(alert, Kind.RESOLVED)
            Alert.objects.filter(id=alert.id).update(told=Told.RESOLVED)
    AlertNotice.objects.filter(created_at__lt=now - KEEP).delete()


def try_out(target: AlertTarget) -> None:
    """Have the target told that it would be told."""
    AlertNotice.objects.create(target=target, kind=Kind.TEST)


def _locked() -> QuerySet[Alert]:
    return Alert.objects.select_related("rule").select_for_update(skip_locked=True, of=("self",))


def _is_cooling(alert: Alert, now: datetime) -> bool:
    """Whether the same thing, as bad as now, was told of a short while ago."""
    if alert.told == Told.WARNING:
        return False  # it has become critical since
    span = timedelta(seconds=alert.rule.cool_down_seconds) if alert.rule else COOL_DOWN
    before = Alert.objects.filter(key=alert.key, told_at__gt=now - span)
    if alert.severity == Severity.CRITICAL:
        before = before.filter(severity=Severity.CRITICAL)
    return before.exists()


def _write(alert: Alert, kind: AlertNotice.Kind) -> None:
    AlertNotice.objects.bulk_create(
        [
            AlertNotice(alert=alert, target=target, kind=kind)
            for target in targets.wanting(alert.severity)
        ]
    )


# --- Telling -------------------------------------------------------------------------------------


def serve(stopping: threading.Event) -> None:
    """Tell what is due, until `stopping`. Several processes may."""
    while not stopping.is_set():
        try:
            close_old_connections()
            tell_due()
        except (DatabaseError, InterfaceError) as error:
            log.warning("alerts wait", error=type(error).__name__)
        finally:
            close_old_connections()
        stopping.wait(LOOK_SECONDS)


def tell_due() -> int:
    """One try of each notice that is due; how many. Targets do not wait for each other."""
    claimed = _claim()
    by_target: dict[object, list[AlertNotice]] = defaultdict(list)
    for notice in claimed:
        by_target[notice.target_id].append(notice)
    if claimed:
        with ThreadPoolExecutor(max_workers=min(len(by_target), 8)) as pool:
            list(pool.map(_tell_all, by_target.values()))
    return len(claimed)


@transaction.atomic
def _claim() -> list[AlertNotice]:
    """Not that it is well again before that it was wrong."""
    now = timezone.now()
    earlier = AlertNotice.objects.filter(
        alert=OuterRef("alert"),
        target=OuterRef("target"),
        next_try_at__isnull=False,
        id__lt=OuterRef("id"),
    )
    due = AlertNotice.objects.filter(~Exists(earlier), next_try_at__lte=now)
    rows = due.order_by("next_try_at").select_for_update(skip_locked=True)
    ids = list(rows.values_list("id", flat=True)[:AT_ONCE])
    claimed = AlertNotice.objects.filter(id__in=ids)
    claimed.update(tries=F("tries") + 1, next_try_at=now + LEASE)
    return list(claimed.select_related("alert", "target").order_by("id"))


def _tell_all(notices: Sequence[AlertNotice]) -> None:
    """In a thread of its own, with its own connection."""
    try:
        for notice in notices:
            _tell(notice)
    finally:
        close_old_connections()


def _tell(notice: AlertNotice) -> None:
    error = ""
    try:
        targets.tell(notice.target, words(notice))
    except NotTaken as refusal:
        error = str(refusal)
    except Exception as caught:  # noqa: BLE001 - recorded on the notice, and tried again
        error = f"It failed ({type(caught).__name__})."
    now = timezone.now()
    row = AlertNotice.objects.filter(id=notice.id, tries=notice.tries)
    if not error:
        row.update(sent_at=now, next_try_at=None, error="")
        return
    log.warning("alert not told", target=notice.target.name, tries=notice.tries, error=error)
    again = now + _wait(notice.tries) if notice.tries < TRIES else None
    row.update(next_try_at=again, error=error[:200])


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=2.0 ** min(tries, 16)), LONGEST_WAIT)


# --- Words ---------------------------------------------------------------------------------------


def words(notice: AlertNotice) -> Words:
    """What a notice says."""
    alert = notice.alert
    if alert is None:
        text = "Alerts of this communication service will come here."
        return Words(str(notice.id), "Test", text, True, {"type": "alert.test"})
    is_over = notice.kind == Kind.RESOLVED
    began, ended = alert.raised_at, alert.resolved_at
    lines = [alert.detail] if alert.detail else []
    lines.append(f"Since {began:%Y-%m-%d %H:%M:%S} UTC.")
    if is_over and ended is not None:
        lines.append(f"Well again since {ended:%Y-%m-%d %H:%M:%S} UTC.")
    url = settings.PUBLIC_URL + reverse("admin:common_alert_change", args=[alert.id])
    mark = "Resolved" if is_over else alert.get_severity_display()
    return Words(
        id=str(notice.id),
        title=f"{mark}: {alert.title}",
        text="\n\n".join([*lines, url]),
        is_good=is_over,
        data={
            "type": f"alert.{notice.kind}",
            "alert_id": str(alert.id),
            "key": alert.key,
            "severity": alert.severity,
            "title": alert.title,
            "detail": alert.detail,
            "raised_at": began.isoformat(),
            "resolved_at": ended.isoformat() if is_over and ended else None,
            "url": url,
        },
    )
