"""What staff should look at: raised once while it lasts, resolved when it is well again.

`rules` measures and judges, `notices` tells the targets; here is what any app may say by itself.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from commsproject.common import outbox
from commsproject.common.errors import Conflict
from commsproject.common.models import Alert, AlertRule, Severity

__all__ = [
    "AlreadyAcknowledged",
    "Severity",
    "acknowledge",
    "raise_once",
    "resolve",
    "standing",
]


class AlreadyAcknowledged(Conflict):
    code = "alert_acknowledged"
    title = "Somebody else has acknowledged this alert"


def raise_once(
    key: str, *, severity: Severity, title: str, detail: str = "", rule: AlertRule | None = None
) -> bool:
    """Tell that something is wrong; whether that is news. Told again it is the same alert, with the
    words of the last time. `title` and `detail` name nobody.
    """
    now = timezone.now()
    words = {"severity": severity, "title": title[:200], "detail": detail[:1000], "seen_at": now}
    if standing().filter(key=key).update(**words):
        return False
    try:
        with transaction.atomic():
            alert = Alert.objects.create(key=key, raised_at=now, rule=rule, **words)
            outbox.emit("alert.raised", [_event(alert)])
    except IntegrityError:  # another process has just raised it
        return False
    return True


@transaction.atomic
def resolve(key: str) -> bool:
    """It is well again; whether anything was wrong."""
    now = timezone.now()
    alert = standing().filter(key=key).select_for_update().first()
    if alert is None:
        return False
    Alert.objects.filter(id=alert.id).update(resolved_at=now)
    outbox.emit("alert.resolved", [_event(alert)])
    return True


def standing() -> QuerySet[Alert]:
    """The alerts that are not resolved, the newest first."""
    return Alert.objects.filter(resolved_at__isnull=True)


@transaction.atomic
def acknowledge(alert: Alert, *, by: str, note: str = "") -> Alert:
    """`by` (a staff member, or an agent) looks after it. Said again by the same it has the new note.

    Raises `AlreadyAcknowledged` where it was somebody else.
    """
    row = Alert.objects.select_for_update().get(id=alert.id)
    if row.acknowledged_by not in ("", by):
        raise AlreadyAcknowledged(f"{row.acknowledged_by} did, and looks after it.")
    row.acknowledged_at = row.acknowledged_at or timezone.now()
    row.acknowledged_by, row.note = by, note[:1000]
    row.save(update_fields=["acknowledged_at", "acknowledged_by", "note"])
    return row


def _event(alert: Alert) -> dict[str, str]:
    return {
        "alert_id": str(alert.id),
        "key": alert.key,
        "severity": alert.severity,
        "title": alert.title,
        "timestamp": timezone.now().isoformat(),
    }
