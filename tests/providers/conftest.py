from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.contract import RUNNERS


@pytest.fixture(scope="session", autouse=True)
def _loop() -> Iterator[None]:
    yield
    for runner in RUNNERS.values():
        runner.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each row of the tables that a subclass of the contract has."""
    if "unsupported" in metafunc.fixturenames:
        rows = metafunc.cls.unsupported
        metafunc.parametrize("unsupported", rows.values(), ids=rows.keys())
    if "refusal" in metafunc.fixturenames:
        metafunc.parametrize("refusal", metafunc.cls.refusals, ids=lambda row: row.code)
    if "captured" in metafunc.fixturenames:
        metafunc.parametrize("captured", metafunc.cls.captured)
