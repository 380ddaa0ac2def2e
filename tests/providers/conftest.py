from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.contract import RUNNERS


@pytest.fixture(scope="session", autouse=True)
def _loop() -> Iterator[None]:
    yield
    for runner in RUNNERS.values():
        runner.close()
