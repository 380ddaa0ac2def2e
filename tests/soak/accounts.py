"""Is everything accounted for? Run when nobody is at work any more.

python -m tests.soak.accounts FILE

FILE is the JSON that the load and the vendors leave. Prints findings and figures as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import django

SHOWN = 20
"""Findings of each kind that are printed."""

_TOTAL = "SELECT count(*) FROM notifications_notification WHERE reference <> 'soak-minute'"

_ROWS = """
SELECT batch.id::text, count(notification.id) FROM notifications_batch AS batch
LEFT JOIN notifications_notification AS notification ON notification.batch_id = batch.id
GROUP BY batch.id
"""

_STATES = """
SELECT channel, state, count(*) FROM notifications_delivery GROUP BY channel, state ORDER BY 1, 2
"""

_WITHOUT_REASON = """
SELECT id::text, state FROM notifications_delivery
WHERE state NOT IN ('sent', 'delivered', 'bounced', 'complained', 'unknown') AND reason = ''
"""

_MINUTES = """
SELECT count(*), count(DISTINCT substr(idempotency_key, 47)::timestamptz)
FROM notifications_notification WHERE reference = 'soak-minute'
"""

_NOT_DELIVERED = "SELECT event_id FROM tracking_webhookdelivery WHERE delivered_at IS NULL"
_DELIVERED = "SELECT event_id FROM tracking_webhookdelivery WHERE delivered_at IS NOT NULL"

_REPORTED = """
SELECT notification_id::text, state FROM notifications_delivery
WHERE notification_id = ANY(%s::uuid[]) AND state NOT IN ('delivered', 'bounced', 'complained')
"""

_TOLD = """
SELECT 'notification.' || state, id::text FROM notifications_delivery
WHERE state IN ('delivered', 'bounced', 'complained', 'cancelled', 'suppressed', 'failed', 'dead')
"""

_LINES = "SELECT client_id, count(*) FROM conversations_entry WHERE client_id <> '' GROUP BY 1"


@dataclass(frozen=True)
class Mail:
    """A message that a vendor took."""

    custom_args: Mapping[str, str]


def main() -> None:
    left = json.loads(Path(sys.argv[1]).read_text())
    django.setup()
    found = list(findings(left))
    kinds = Counter(kind for kind, _ in found)
    shown: Counter[str] = Counter()
    lines = []
    for kind, detail in found:
        shown[kind] += 1
        if shown[kind] <= SHOWN:
            lines.append(f"{kind}: {detail}")
    sys.stdout.write(
        json.dumps(
            {"findings": lines, "kinds": kinds, "states": _rows(_STATES), "runs": _rows(_MINUTES)},
            default=int,
        )
    )


def findings(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and detail of each thing that is not as it was said to be.

    `left`: `keys` of single messages to their ids, `rows` accepted of each batch, ids that were
    `cancelled`; `taken` by vendors, message and attempt; ids of messages `reported` delivered or
    bounced; ids `heard` by the receiver of our webhooks, and what they `told`: type and delivery;
    client ids of lines `written`; since when and until when a run was `scheduled` each minute, in
    seconds of the epoch.
    """
    yield from _ledger(left)
    yield from _counts(left)
    yield from _ends(left)
    yield from _webhooks(left)
    yield from _conversations(left)


def _ledger(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every acceptance has its message, every call its attempt, every sent one its call."""
    from tests.faults import invariants

    taken = [
        Mail({"message_id": message, "attempt_id": attempt}) for message, attempt in left["taken"]
    ]
    ids = list(left["keys"].values())
    for line in invariants.findings(taken, answered=ids):
        kind, _, detail = line.partition(": ")
        yield kind, detail
    sent = {message for message, _ in left["taken"]}
    for id_ in sent.intersection(left["cancelled"]):
        yield "cancelled and sent", id_


def _counts(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    expected = len(set(left["keys"].values())) + sum(left["rows"].values())
    if (stored := _rows(_TOTAL)[0][0]) != expected:
        yield "messages", f"{stored} are stored, {expected} were accepted"
    if len(set(left["keys"].values())) != len(left["keys"]):
        yield "keys", "two of them have one message"
    rows = {id_: int(count) for id_, count in _rows(_ROWS)}
    for id_, count in left["rows"].items():
        if rows.get(id_) != count:
            yield "batch", f"{id_} has {rows.get(id_)} messages, {count} were accepted"
    since, until = left["scheduled"]
    due = int(until // 60 - since // 60)
    (runs, minutes), *_ = _rows(_MINUTES)
    if runs != minutes or abs(minutes - due) > 1:  # the last one may be due as it is switched off
        yield "schedule", f"{runs} runs for {minutes} minutes, {due} were due"


def _ends(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for id_, state in _rows(_WITHOUT_REASON):
        yield "without a reason", f"{id_} {state}"
    for id_, state in _rows(_REPORTED, [list(left["reported"])]):
        yield "report lost", f"{id_} is {state}"


def _webhooks(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    ids, told = set(left["heard"]), {tuple(pair) for pair in left["told"]}
    for (id_,) in _rows(_NOT_DELIVERED):
        yield "webhook not delivered", id_
    for (id_,) in _rows(_DELIVERED):
        if id_ not in ids:
            yield "webhook never came", id_
    for kind, id_ in _rows(_TOLD):
        name = kind.replace(".dead", ".failed")
        if (name, id_) not in told:
            yield "not told", f"{name} of {id_}"


def _conversations(left: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    lines = {id_: int(count) for id_, count in _rows(_LINES)}
    for id_ in left["written"]:
        if lines.get(id_) != 1:
            yield "line", f"{id_} is there {lines.get(id_, 0)} times"


def _rows(query: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cast("list[tuple[Any, ...]]", cursor.fetchall())


if __name__ == "__main__":
    main()
