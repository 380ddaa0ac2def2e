"""Attachments: read for the call that carries them, and no more at a time than a worker can hold."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from typing_extensions import override

from commsproject.common.models import ApiClient
from notifications import limits
from notifications.models import Delivery
from notifications.providers import registry
from notifications.services import deliver, submit, window
from notifications.services.items import attachments
from notifications.services.window import Window
from notifications.states import State
from notifications.types import Outbound, Sent
from tests.engine import carry_out, drain
from tests.integration.test_engine import claim, submission
from tests.scripted import ScriptedLoop, entry, scripted

pytestmark = pytest.mark.django_db

KILO = 3000
HEAVY = round(3.5 * KILO)


@pytest.fixture(autouse=True)
def provider(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a hundred messages a minute; a window holds three kilobytes and a half."""
    limit = {"COUNT": 100, "SECONDS": 60, "UNIT": "recipients"}
    settings.PROVIDERS = {"a": entry(LIMIT=limit)}
    monkeypatch.setattr(deliver, "HEAVY", HEAVY)


def file(size: int) -> dict[str, str]:
    """`size` bytes as they are stored, which cannot be made smaller."""
    content = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    return {"filename": "a.pdf", "content": content, "content_type": "application/pdf"}


def post(agent: ApiClient, *sizes: int) -> list[dict[str, str]]:
    """Messages accepted together; 0 is one without an attachment."""
    files = [file(size) if size else {} for size in sizes]
    asked = [
        submission(f"user-{number}@example.org", attachments=[one] if one else [])
        for number, one in enumerate(files)
    ]
    submit.accept(agent, asked)
    return files


def opened() -> Window:
    lease = claim()
    return window.open_window(dict.fromkeys(lease.ids, lease), lease.ids, {}, weight=HEAVY)


@pytest.mark.parametrize(
    ("sizes", "called"),
    [
        ([KILO] * 5, 3),
        ([0] * 5, 5),
        ([9 * KILO, KILO], 1),  # a single one may be heavier
        ([0, 0, 9 * KILO, 0], 2),
        ([KILO, 0, 0, KILO], 4),
    ],
)
def test_a_window_stops_before_it_is_too_heavy(
    agent: ApiClient, sizes: list[int], called: int
) -> None:
    post(agent, *sizes)
    found = opened()
    assert len(found.calls) == called
    assert len(found.left) == len(sizes) - called
    (standing,) = limits.state([])
    assert standing.free == 100 - called  # the leave of the others is returned


def test_what_is_left_goes_by_the_windows_that_follow(agent: ApiClient) -> None:
    files = post(agent, *[KILO] * 8, 9 * KILO)
    assert drain() == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    sent = {one.to: one.attachments for one in scripted("a").asked}
    assert len(sent) == 9
    for number, stored in enumerate(files):
        (got,) = sent[f"user-{number}@example.org"]
        assert got.content == base64.b64decode(stored["content"])
        assert (got.filename, got.content_type) == ("a.pdf", "application/pdf")


class Uneven(ScriptedLoop):
    """Takes every third message at once, and the others when there is none left to take."""

    batch_limit: ClassVar[int] = 1
    carried = 0
    heaviest = 0
    """The most bytes of attachments that were out at a time, as they are stored."""

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        weight = sum(len(one.content) * 4 // 3 for one in message.attachments)
        self.carried += weight
        self.heaviest = max(self.heaviest, self.carried)
        self.asked.append(messages)
        if len(self.asked) % 3 != 1:
            await asyncio.sleep(0.5)
        self.carried -= weight
        return Sent("ref")


def test_no_window_is_opened_on_top_of_one_whose_calls_are_out(
    agent: ApiClient, settings: Any
) -> None:
    """However many answer quickly: what a hanging call carries is in memory for as long."""
    settings.PROVIDERS = {"a": entry(Uneven)}
    post(agent, *[KILO] * 12)
    carry_out(claim())
    provider = registry.get("a")
    assert isinstance(provider, Uneven)
    assert len(provider.asked) == 12
    assert provider.heaviest <= HEAVY + KILO  # the last one may exceed it


def test_only_those_that_are_sent_are_read(agent: ApiClient) -> None:
    post(agent, KILO, 0, KILO, KILO, KILO, KILO)
    lease = claim()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = window.open_window(dict.fromkeys(lease.ids, lease), lease.ids, {}, weight=HEAVY)
    reads = [
        query["sql"]
        for query in queries
        if query["sql"].startswith('SELECT "notifications_notification"."attachments"')
    ]
    assert len(found.calls) == 4
    assert len(reads) == 3


def test_a_message_without_attachments_asks_for_none(agent: ApiClient) -> None:
    post(agent, 0)
    (call,) = opened().calls
    (item,) = call.items
    with CaptureQueriesContext(connection) as queries:
        assert attachments(item) == []
    assert len(queries) == 0
