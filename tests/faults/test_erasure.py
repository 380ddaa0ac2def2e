"""An erasure whose process is killed goes on in the next one, to its receipt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from django.utils import timezone

from commsproject.common.models import PersonalDataJob
from commsproject.common.personal_data import work
from notifications import addresses
from notifications.models import Delivery, Notification
from notifications.states import State
from notifications.types import Channel
from tests.factories import AddressFactory, ApiClientFactory, RecipientFactory
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE
from tests.integration.test_erasure import CANARY, EMAIL, USER, found_in_tables
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def write(count: int) -> None:
    person = RecipientFactory.create(user_id=USER)
    AddressFactory.create(recipient=person, value=EMAIL)
    agent = ApiClientFactory.create()
    rows = [
        Notification(
            client=agent,
            recipient=person,
            content={"email": {"subject": CANARY, "text": "{{ name }}"}},
            data={"name": CANARY},
        )
        for _ in range(count)
    ]
    Notification.objects.bulk_create(rows)
    Delivery.objects.bulk_create(
        Delivery(
            notification=row,
            channel=Channel.EMAIL,
            address=EMAIL,
            address_hash=addresses.digest(Channel.EMAIL, EMAIL),
            state=State.EXPIRED,
        )
        for row in rows
    )


def erased() -> int:
    """Messages so far; what only waits for its time is due at once."""
    PersonalDataJob.objects.filter(after="waited").update(due_at=timezone.now())
    return int(PersonalDataJob.objects.get().counts.get("messages", 0))


def has_come_to(count: float) -> bool:
    return erased() >= count


def test_an_erasure_survives_its_process(tmp_path: Path, size: Size) -> None:
    total, kills = int(size["messages"]), int(size["kills"])
    write(total)
    assert found_in_tables()
    work.ask_erasure(USER)
    with Nursery(tmp_path) as nursery:
        for number in range(1, kills + 1):
            scheduler = nursery.start("scheduler")
            eventually(partial(has_come_to, total * number / (kills + 1)), PATIENCE)
            scheduler.kill()
        nursery.start("scheduler")
        eventually(lambda: erased() and work.erasure(USER).state == "done", PATIENCE)
    receipt = work.erasure(USER)
    assert (receipt.counts["messages"], receipt.counts["person"] > 0) == (total, True)
    assert (receipt.user_id, receipt.names, receipt.error) == ("", [], "")
    assert found_in_tables() == set()
    assert Notification.objects.count() == Delivery.objects.count() == total
