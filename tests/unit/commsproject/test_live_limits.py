from __future__ import annotations

import pytest

from commsproject.common.live.limits import FRAMES_AT_ONCE, FRAMES_PER_SECOND, Flood, Pace


def test_a_pace_is_kept_and_a_flood_is_told_from_a_hurry() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert [pace.allows() for _ in range(FRAMES_AT_ONCE + 1)] == [True] * FRAMES_AT_ONCE + [False]
    now += 2 / FRAMES_PER_SECOND
    assert pace.allows()
    assert not pace.allows()
    now += 3600
    assert [pace.allows() for _ in range(FRAMES_AT_ONCE + 1)].count(True) == FRAMES_AT_ONCE
    assert [pace.allows() for _ in range(FRAMES_AT_ONCE - 1)].count(True) == 0
    with pytest.raises(Flood):
        pace.allows()
