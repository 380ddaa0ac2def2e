"""The door in the trigger: only who asks for it, and only to the end of the transaction."""

from __future__ import annotations

from django.db import connection


def open_door() -> None:
    """From here to the end of this transaction events may be deleted; changed they may never be."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL comms.audit_purge = 'on'")
