"""What staff should look at: raised once while it lasts, resolved when it is well again."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from commsproject.common.models import Alert

Severity = Alert.Severity


def raise_once(key: str, *, severity: Severity, title: str, detail: str = "") -> bool:
    """Tell that something is wrong; whether that is news. Told again it is the same alert, with the
    words of the last time. `title` and `detail` name nobody.
    """
    now = timezone.now()
    words = {"severity": severity, "title": title[:200], "detail": detail[:1000], "seen_at": now}
    if standing().filter(key=key).update(**words):
        return False
    try:
        with transaction.atomic():
            Alert.objects.create(key=key, raised_at=now, **words)
    except IntegrityError:  # another process has just raised it
        return False
    return True


def resolve(key: str) -> bool:
    """It is well again; whether anything was wrong."""
    return bool(standing().filter(key=key).update(resolved_at=timezone.now()))


def standing() -> QuerySet[Alert]:
    """The alerts that are not resolved, the newest first."""
    return Alert.objects.filter(resolved_at__isnull=True)
