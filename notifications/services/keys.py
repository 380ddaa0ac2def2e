"""Idempotency keys: what each was first used for, and what that was answered.

One is written in the transaction of its effect, so that it exists exactly when its effect does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.db.utils import OperationalError
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from commsproject.common.models import ApiClient, IdempotencyKey
from notifications.errors import KeyInFlight, KeyReused

LOCK_MS = 2000
"""How long a second request with the same key waits for the first before it is told 409."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Once:
    """What an agent may ask again and get done once. `key` is empty where it gave none."""

    key: str = ""
    fingerprint: bytes = b""
    """Of all that is asked: another request may not have the same key."""


Name = tuple[UUID, str]
"""A key and whose it is: another agent's may read the same."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key, and what its first use is answered."""

    client_id: UUID
    once: Once
    response: Any


def fingerprint(asked: Any, what: str = "") -> bytes:
    """Of a request's body; `what` tells apart operations whose bodies may be alike."""
    return hashlib.sha256(f"{what}{_CANONICAL.encode(asked)}".encode()).digest()


def known(client: ApiClient, once: Once) -> IdempotencyKey | None:
    """The key as it was stored by the same request. Raises `KeyReused` where that was another."""
    if not once.key:
        return None
    row = IdempotencyKey.objects.filter(client=client, key=once.key).first()
    if row is not None:
        check(row, once.fingerprint)
    return row


def claim(client: ApiClient, once: Once, response: Any) -> IdempotencyKey | None:
    """Store the key with its answer; the row of the same request instead, where that was quicker.

    Raises `KeyInFlight`, and `KeyReused`.
    """
    if not once.key:
        return None
    return None if write([Claim(client.id, once, response)]) else known(client, once)


def check(row: IdempotencyKey, asked: bytes) -> None:
    """Raises `KeyReused`, unless it was stored for what has the fingerprint `asked`."""
    if bytes(row.fingerprint) != asked:
        raise KeyReused("Use a new key for a new request, or repeat the first one unchanged.")


_WRITE = """
SAVEPOINT idempotency;
{before}
INSERT INTO common_idempotencykey (id, client_id, key, fingerprint, response, created_at)
SELECT uuidv7(), client_id, key, decode(fingerprint, 'hex'), response, %s
FROM jsonb_to_recordset(%s::jsonb)
     AS new (client_id uuid, key text, fingerprint text, response jsonb)
ON CONFLICT DO NOTHING
RETURNING client_id, key;
{after}
RELEASE SAVEPOINT idempotency
"""
"""One trip to the database instead of five."""

_UNDO = "ROLLBACK TO SAVEPOINT idempotency; RELEASE SAVEPOINT idempotency"


def write(claims: Sequence[Claim], *, is_patient: bool = True) -> set[Name]:
    """The names that are stored now, in the caller's transaction; those that somebody else wrote
    first stay as they are.

    Sorted, so that two lists with the same keys wait for each other instead of deadlocking. Raises
    `KeyInFlight` where another transaction holds one for longer than two seconds, or (unless
    `is_patient`) than the caller's transaction waits for any lock.
    """
    if not claims:
        return set()
    rows = [
        {
            "client_id": str(one.client_id),
            "key": one.once.key,
            "fingerprint": one.once.fingerprint.hex(),
            "response": one.response,
        }
        for one in sorted(claims, key=_name)
    ]
    query = _WRITE.format(
        before=f"SET LOCAL lock_timeout = {LOCK_MS};" if is_patient else "",
        after="SET LOCAL lock_timeout TO DEFAULT;" if is_patient else "",
    )
    with connection.cursor() as cursor:
        try:
            cursor.execute(query, [timezone.now(), orjson.dumps(rows).decode()])
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            cursor.execute(_UNDO)
            raise KeyInFlight(
                "The first request with this key is not done yet.", retry_after=1
            ) from None
        while cursor.description is None:  # of statements without rows
            cursor.nextset()
        return set(cursor.fetchall())


def amend(name: Name, response: Any) -> None:
    """Another answer than was known when the key was written, in the same transaction."""
    client_id, key = name
    IdempotencyKey.objects.filter(client=client_id, key=key).update(response=response)


def _name(claim: Claim) -> Name:
    return claim.client_id, claim.once.key
