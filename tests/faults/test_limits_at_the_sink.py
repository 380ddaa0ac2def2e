"""A provider's limit, as the provider sees it: two worker processes, and Valkey in trouble."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db.models.functions import Now

from notifications.models import Attempt, Delivery, Work
from notifications.services import audit
from notifications.states import State
from tests.fakes.proxy import Mode, TcpProxy
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.vendors import calls
from tests.faults.world import PATIENCE, accept, all_ended, env
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("moves")


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with SesServer() as server:
        yield server


def over_the_limit(times: Sequence[float], count: int, seconds: float) -> int:
    """How many calls there were too many in the worst window of so many seconds."""
    times = sorted(times)
    most = max(bisect_left(times, at + seconds) - index for index, at in enumerate(times))
    return max(0, most - count)


@pytest.fixture
def workers(tmp_path: Path, sendgrid: SendGridServer) -> Iterator[Any]:
    """Starts two workers that share a limit of SendGrid's."""
    with ExitStack() as stack:

        def start(size: Size, **changes: str) -> None:
            limit = f"{int(size['limit'])}/{size['window']:g}"
            shared = {"SENDGRID_LIMIT": limit, "LIMIT_PROCESSES": "2", **changes}
            nursery = stack.enter_context(Nursery(tmp_path, **env(sendgrid, **shared)))
            for _ in range(2):
                nursery.start("worker")

        yield start


def all_sent() -> bool:
    return not Delivery.objects.exclude(state=State.SENT).exists()


def waits_its_turn() -> bool:
    """Work that has a due time, not a lease."""
    return Work.objects.filter(due_at__gt=Now(), lease_until=None).exists()


def check(sendgrid: SendGridServer, size: Size) -> None:
    times = [mail.at for mail in sendgrid.messages]
    assert over_the_limit(times, int(size["limit"]), size["seen"]) <= size["late"]
    assert max(Counter(mail.recipient for mail in sendgrid.messages).values()) == 1
    assert {one.state for one in calls("sendgrid")} == {Attempt.State.ACCEPTED}


def test_what_is_over_the_limit_waits_its_turn(
    sendgrid: SendGridServer, workers: Any, size: Size
) -> None:
    accept(int(size["messages"]))
    workers(size)
    nothing_written_for_it = Delivery.objects.filter(attempts_made=0, reason="")
    eventually(lambda: waits_its_turn() and nothing_written_for_it.exists(), PATIENCE)
    eventually(all_sent, PATIENCE)
    check(sendgrid, size)
    assert len(sendgrid.messages) == size["messages"]
    invariants.check(sendgrid.messages)


def test_what_is_over_the_limit_goes_to_the_next_provider(
    sendgrid: SendGridServer, ses: SesServer, workers: Any, size: Size
) -> None:
    accept(int(size["messages"]))
    workers(
        size,
        AWS_ACCESS_KEY_ID="AKIAFAKEFAKEFAKE0000",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_SES_REGION="eu-central-1",
        AWS_ENDPOINT_URL=ses.url,
        SES_LIMIT="none",
    )
    eventually(all_sent, PATIENCE)
    check(sendgrid, size)
    # The first one is used; as far as it goes, but for leave that came back when nobody needed it.
    assert len(sendgrid.messages) >= size["limit"] / 2
    assert len(sendgrid.messages) + len(ses.messages) == size["messages"]
    assert len(calls("ses")) == len(ses.messages) > 0
    eventually(all_ended, PATIENCE)
    assert list(audit.findings()) == []


def test_a_flush_of_valkey_gives_no_second_limit(
    sendgrid: SendGridServer, workers: Any, size: Size
) -> None:
    accept(int(size["messages"]))
    workers(size)
    for part in (1, 2):
        eventually(lambda goal=part: len(sendgrid.messages) >= goal * size["limit"] / 2, PATIENCE)  # type: ignore[misc]
        with redis.Redis.from_url(django_settings.REDIS_URL) as valkey:
            valkey.flushdb()
    eventually(all_sent, PATIENCE)
    check(sendgrid, size)
    invariants.check(sendgrid.messages)


def test_without_valkey_each_process_keeps_to_its_share(
    broker: TcpProxy, sendgrid: SendGridServer, workers: Any, size: Size
) -> None:
    accept(int(size["messages"]))
    workers(size)
    eventually(lambda: len(sendgrid.messages) >= size["limit"] / 2, PATIENCE)
    broker.switch(Mode.BLACKHOLE)
    eventually(all_sent, PATIENCE)
    broker.switch(Mode.PASS)
    check(sendgrid, size)
    invariants.check(sendgrid.messages)
