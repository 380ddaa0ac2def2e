"""Messages that kill every worker that touches them: they end alone, all others arrive."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import transaction
from typing_extensions import override

from notifications.models import Attempt, DeadLetter, Delivery
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel, Lane
from tests.factories import ApiClientFactory
from tests.fakes.behaviours import Behaviour, Exchange
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Infant, Nursery
from tests.faults.poison import KILLS
from tests.faults.world import PATIENCE, all_ended, env, is_quiet
from tests.processes import eventually

POISON = "poison@example.org"


def accept(count: int, lane: Lane, said: str) -> None:
    """One chunk with the poison in its middle, which says `said`."""
    to = [
        POISON if number == count // 2 else f"user-{number}@example.org" for number in range(count)
    ]
    asked = [
        Submission(
            to=Target(addresses={Channel.EMAIL: address}),
            content={"subject": "Hello", "text": "It works, {{ poison }}."},
            data={"poison": said if address == POISON else "really"},
            priority=lane,
        )
        for address in to
    ]
    with transaction.atomic():
        submit.accept(ApiClientFactory.create(), asked)


class Ward:
    """One worker, and another one whenever it has died."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self.deaths = -1
        self.worker: Infant
        self.look()

    def look(self) -> None:
        if self.deaths < 0 or not self.worker.runs:
            self.deaths += 1
            self.worker = self._nursery.start("worker")

    def until(self, condition: Callable[[], bool]) -> None:
        def done() -> bool:
            self.look()
            return condition()

        eventually(done, PATIENCE)


def test_poison(moves: None, sendgrid: SendGridServer, tmp_path: Path, size: Size) -> None:
    """G11: killed before the call. Nobody was called for it: it is quarantined."""
    accept(int(size["messages"]), Lane.NORMAL, KILLS)
    settings = env(sendgrid, DJANGO_SETTINGS_MODULE="tests.faults.poison_settings")
    with Nursery(tmp_path, **settings) as nursery:
        ward = Ward(nursery)
        ward.until(all_ended)

    letter = DeadLetter.objects.select_related("delivery").get()
    assert (letter.code, letter.delivery.address) == ("quarantined", POISON)
    assert letter.delivery.attempts_made == 0
    others = Delivery.objects.exclude(address=POISON)
    assert set(others.values_list("state", flat=True)) == {State.SENT}
    assert POISON not in {mail.recipient for mail in sendgrid.messages}
    assert 2 <= ward.deaths <= 4
    invariants.check(sendgrid.messages)


@dataclass(frozen=True)
class Kill(Behaviour):
    """Take the message, and kill who sent it."""

    ward: Ward

    @override
    async def play(self, exchange: Exchange) -> None:
        os.kill(self.ward.worker.pid, signal.SIGKILL)
        exchange.reset()


@pytest.mark.parametrize(
    ("lane", "calls", "state"),
    [(Lane.NORMAL, 3, State.DEAD), (Lane.BULK, 1, State.UNKNOWN)],
)
def test_poison_at_the_call(
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
    lane: Lane,
    calls: int,
    state: State,
) -> None:
    """G11: killed during the call. It may have been sent: unknown, and few copies are risked."""
    accept(int(size["messages"]), lane, "harmless")
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        ward = Ward(nursery)
        sendgrid.script.when(POISON, Kill(ward))
        ward.until(is_quiet if lane is Lane.BULK else all_ended)

    poison = Delivery.objects.get(address=POISON)
    assert (poison.state, poison.attempts_made) == (state, calls)
    open_calls = Attempt.objects.filter(delivery=poison, state=Attempt.State.UNKNOWN)
    assert open_calls.count() == calls
    assert sum(mail.recipient == POISON for mail in sendgrid.messages) == calls
    others = set(Delivery.objects.exclude(id=poison.id).values_list("state", flat=True))
    assert others <= ({State.SENT} if lane is Lane.NORMAL else {State.SENT, State.UNKNOWN})
    assert ward.deaths == calls
    invariants.check(sendgrid.messages)
