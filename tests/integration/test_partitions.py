"""The statements of docs/how-to/partition-messages.md, in a service that goes on."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from commsproject.common import ids
from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel
from tests.engine import drain
from tests.factories import AttemptFactory

pytestmark = pytest.mark.django_db

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "partition-messages.md"


def send(agent: ApiClient) -> Attempt:
    to = Target(addresses={Channel.EMAIL: "ada@example.com"})
    submit.accept(agent, [Submission(to=to, content={"subject": "Hello", "text": "It works."})])
    drain()
    delivery = Delivery.objects.latest("id")
    assert delivery.state == State.SENT
    return delivery.attempts.get()


def where(attempt: Attempt) -> str:
    with connection.cursor() as cursor:
        query = "SELECT tableoid::regclass::text FROM notifications_attempt WHERE id = %s"
        cursor.execute(query, [attempt.id])
        name: str = cursor.fetchone()[0]
        return name


def options(table: str) -> set[str]:
    """How full its pages get, and when it is vacuumed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        return set(cursor.fetchone()[0])


def test_attempts_are_partitioned_while_messages_are_sent(agent: ApiClient) -> None:
    validate, switch, another, drop = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)

    def run(statements: str, month: str, begin: UUID, end: UUID) -> None:
        filled = statements.replace("BEGIN;", "").replace("COMMIT;", "").replace("<month>", month)
        with connection.cursor() as cursor:
            cursor.execute(filled.replace("<cut>", str(begin)).replace("<next>", str(end)))

    old, cut = send(agent), ids.new_id()
    first, second = (ids.floor(timezone.now() + timedelta(days=days)) for days in (30, 60))
    run(validate, "", cut, first)
    run(switch, "2027_01", cut, first)
    run(another, "2027_02", first, second)
    new = send(agent)
    beyond = ids.floor(timezone.now() + timedelta(days=61))  # for which no month was made
    ahead = AttemptFactory.create(delivery=new.delivery, id=beyond)

    assert where(old) == "notifications_attempt_old"
    assert where(new) == "notifications_attempt_2027_01"
    assert where(ahead) == "notifications_attempt_later"
    assert set(Attempt.objects.values_list("id", flat=True)) == {old.id, new.id, ahead.id}
    assert options("notifications_attempt_2027_01") == options("notifications_attempt_old")
    Delivery.objects.filter(id=old.delivery_id).delete()
    run(drop, "2027_02", first, second)
    assert set(Attempt.objects.all()) == {new, ahead}
