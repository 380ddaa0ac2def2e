"""The database's time, as a process counts it on."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from commsproject.common import clock

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("moments", "known_at"),
    [
        ((0.0, 0.001), 0.001),
        ((0.0, 1.0, 1.0, 1.001), 1.001),  # asked again: the first answer lay for a second
        (tuple(range(10)), 9),  # the machine is never quick: the fifth has to do
    ],
)
def test_an_answer_that_lay_about_is_not_taken_at_its_word(
    moments: Sequence[float], known_at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_known", None)
    left = iter(moments)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(left)))
    at, _ = clock._heard()
    assert at == known_at
