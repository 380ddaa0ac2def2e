"""When people were last connected. A row each, and nothing in it for who hides it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from commsproject.common.models import LastSeen


def note(user_ids: Collection[str]) -> None:
    """They are connected just now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO common_lastseen AS known (user_id, seen_at, hidden)"
            " SELECT unnest(%s::text[]), clock_timestamp(), false"
            " ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at WHERE NOT known.hidden",
            [sorted(set(user_ids))],
        )


def of(user_ids: Collection[str]) -> dict[str, datetime]:
    """Of those who are known and do not hide it."""
    rows = LastSeen.objects.filter(user_id__in=user_ids, hidden=False, seen_at__isnull=False)
    return {row.user_id: row.seen_at for row in rows if row.seen_at}


def hide(user_id: str, hidden: bool) -> None:
    """Hide it from now on, and forget what was noted; or show it again."""
    values = {"hidden": hidden, **({"seen_at": None} if hidden else {})}
    LastSeen.objects.update_or_create(user_id=user_id, defaults=values)


def is_hidden(user_id: str) -> bool:
    return LastSeen.objects.filter(user_id=user_id, hidden=True).exists()
