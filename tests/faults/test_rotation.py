"""A credential that is changed under load: its file is written anew, and the vendor forgets the old."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifications.models import Attempt, DeadLetter, Delivery, ProviderChange
from notifications.states import State
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import KEY, PATIENCE, accept, env, has_started, is_quiet
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Flow:
    """Messages, some at a time, as long as somebody waits for something."""

    def __init__(self) -> None:
        self.messages = 0

    def more(self, count: int = 10) -> bool:
        accept(count, first=self.messages)
        self.messages += count
        return True


def keys_used(sendgrid: SendGridServer, since: int = 0) -> set[str]:
    requests = sendgrid.ledger.all()[since:]
    return {request.headers["authorization"].removeprefix("Bearer ") for request in requests}


def written(file: Path, key: str) -> None:
    """As `kubectl` and good tools do it: another file in its place."""
    new = file.with_suffix(".new")
    new.write_text(f"{key}\n")
    new.rename(file)


@pytest.mark.usefixtures("moves")
def test_rotation(sendgrid: SendGridServer, tmp_path: Path, size: Size) -> None:
    """Old and new are good for a while, then the old one is refused."""
    file, flow = tmp_path / "key", Flow()
    written(file, KEY)
    settings = env(sendgrid, SENDGRID_API_KEY="", SENDGRID_API_KEY_FILE=str(file))
    with Nursery(tmp_path, **settings) as nursery:
        worker = nursery.start("worker")
        eventually(lambda: has_started(worker.log), PATIENCE)
        for number in range(int(size["rotations"])):
            old, new = sendgrid.api_key, f"SG.{number}"
            sendgrid.also = frozenset({old, new})
            written(file, new)
            eventually(lambda: flow.more() and new in keys_used(sendgrid), PATIENCE)  # noqa: B023
            sendgrid.api_key, sendgrid.also = new, frozenset()
            flow.more()
        eventually(is_quiet, PATIENCE)
        worker.stop()

    invariants.check(sendgrid.messages)
    assert not Delivery.objects.exclude(state=State.SENT).exists()
    assert not DeadLetter.objects.exists()
    assert len(sendgrid.messages) == flow.messages
    assert not Attempt.objects.exclude(state=Attempt.State.ACCEPTED).exists()
    assert not ProviderChange.objects.exists()  # its breaker never opened
    told = worker.log.read_text()
    assert told.count("credentials renewed") == size["rotations"]
    assert "Unclosed" not in told  # the connections of those that were replaced
    assert "SG." not in told


@pytest.mark.usefixtures("moves")
def test_a_key_that_is_changed_too_late_costs_seconds(
    sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """The vendor refuses the old one before there is a new one; nobody waits the minute for which
    refused credentials are left alone.
    """
    file, flow = tmp_path / "key", Flow()
    written(file, KEY)
    settings = env(sendgrid, SENDGRID_API_KEY="", SENDGRID_API_KEY_FILE=str(file))
    with Nursery(tmp_path, **settings) as nursery:
        nursery.start("worker")
        sendgrid.api_key = "SG.new"
        flow.more(int(size["messages"]))
        eventually(ProviderChange.objects.filter(now="open").exists, PATIENCE)
        written(file, "SG.new")
        eventually(ProviderChange.objects.filter(now="half open").exists, PATIENCE)
        eventually(is_quiet, PATIENCE)

    invariants.check(sendgrid.messages)
    assert not Delivery.objects.exclude(state=State.SENT).exists()
    assert len(sendgrid.messages) == flow.messages
    history = ProviderChange.objects.filter(provider="sendgrid").order_by("at")
    assert [change.now for change in history] == ["open", "half open", "closed"]
    assert history[1].reason == "it has new credentials"  # and not that a minute was over
