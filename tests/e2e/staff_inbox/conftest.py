from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Visit
from tests.e2e.staff_inbox.staff import INBOX, Open, join_the_team
from tests.e2e.widgets import Server

_EXPECTED = re.compile(r"ERR_|WebSocket connection|Failed to load")
"""While the server is away."""


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "web.log", "localhost")
    try:
        made.wait()
        yield made
    finally:
        if made.process.runs:
            made.process.stop()


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Open]:
    """The inbox of somebody of the team. Nothing on it may be refused by its own policy, or fail."""
    visits: list[Visit] = []

    def make(name: str, path: str = INBOX, **options: Any) -> Visit:
        join_the_team(name)
        visits.append(Visit(browser, server.url, name, **options))
        visits[-1].go(path)
        expect(visits[-1].page.locator("[data-state]")).to_have_text("Live")
        return visits[-1]

    yield make
    for each in visits:
        each.context.close()
    wrong = [one for each in visits for one in each.errors if not _EXPECTED.search(one)]
    assert wrong == []
