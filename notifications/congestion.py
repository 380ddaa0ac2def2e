"""How many calls may be out at a provider at once. Pure: what one process saw of it in, numbers out.

As TCP finds out what a line can carry (RFC 5681). A provider that has not answered of late gets few
calls, and twice as many with each round of answers. One that is slow gets none for a while where
others can carry its messages, and then one at a time: a message that waits for an answer cannot be
taken back, so only those that are not sent there are not late. A call counts as slow while it is
still open. Whoever is the last that can carry a message is asked whatever it is like.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

START = 6
"""Calls out at a provider that did not answer for `IDLE` seconds. Four failures free their places for
four more calls, the fifth opens its breaker (`breaker.FAILURES`): 10 calls of each process.
"""
IDLE = 1.0
FLOOR = 4

SLOW = 8
"""Times as long as usual is slow, but never less than the seconds that the caller names."""
DRIFT = 1.05
"""What is usual moves by so much with each answer, up or down: half of them take longer."""

SHARE = 0.05
ROUND = 1.0
"""So large a part of the calls of so many seconds must be in trouble to mean anything: of few, one."""
LESS = 0.7

REST = 5.0
LONGEST_REST = 30.0
TRIAL = 20
"""Seconds without a call after trouble; twice as long as before where it came back within so many
answers.
"""
WELL_AFTER = 60.0
"""Seconds without trouble after which all is forgotten."""


@dataclass(slots=True)
class Congestion:
    """One process's knowledge of one provider. Moments are seconds of a monotonic clock; `out` are
    the calls that are out, without the one that is told of.
    """

    window: float = START
    usual: float = 0.0
    """The moving median of what an answer takes, in seconds; 0 before the first."""
    lost_at: float = -inf
    throttled_at: float = -inf
    """When it was last in trouble, of either kind."""
    strikes: int = 0
    rests_until: float = -inf
    answers: int = 0
    """Since `lost_at`."""
    seen: int = 0
    bad: int = 0
    """Of the calls `seen` since `round_at`."""
    round_at: float = -inf
    ended_at: float = -inf

    def is_strained(self, now: float) -> bool:
        return now - max(self.lost_at, self.throttled_at) < WELL_AFTER

    def room(self, out: int, now: float) -> int:
        """Calls that may begin where others can carry what exceeds them."""
        return 0 if now < self.rests_until else max(0, int(self.window) - out)

    def slow_after(self, least: float) -> float:
        """Seconds after which a call that is still open is slow."""
        return max(least, SLOW * self.usual)

    def began(self, out: int, now: float) -> None:
        """What it could carry some time ago says little of now."""
        if not out and now - self.ended_at > IDLE and not self.is_strained(now):
            self.window = min(self.window, START)

    def answered(self, took: float, out: int, now: float) -> None:
        """It works; `took` seconds."""
        if not self.usual:
            self.usual = took
        else:
            self.usual *= DRIFT if took > self.usual else 1 / DRIFT
        if self.is_strained(now):
            self.window += 1 / self.window
        elif out >= self.window / 2:
            self.window += 1
        self.answers += 1
        self._count(now)

    def lost(self, began: float, out: int, now: float) -> bool:
        """A call that `began` then is slow, or was left without an answer. Whether that is the
        trouble after which it rests.
        """
        if began <= self.lost_at or not self._is_trouble(out, now):
            return False
        is_again = now - self.lost_at < WELL_AFTER and self.answers < TRIAL
        self.strikes = self.strikes + 1 if is_again else 0
        self.rests_until = now + min(REST * 2 ** min(self.strikes, 8), LONGEST_REST)
        self.window, self.lost_at, self.answers = 1, now, 0
        return True

    def throttled(self, began: float, out: int, now: float) -> None:
        """It was told to come later: how long it is left alone is the breaker's business."""
        if began > self.throttled_at and self._is_trouble(out, now):
            self.window = min(self.window, max(FLOOR, LESS * (out + 1)))
            self.throttled_at = now

    def _is_trouble(self, out: int, now: float) -> bool:
        """Told of no call from before the last trouble: that was of the same kind."""
        self._count(now)
        self.bad += 1
        is_trouble = self.bad >= SHARE * max(self.seen, out + 1)
        if is_trouble:
            self.round_at = -inf
        return is_trouble

    def _count(self, now: float) -> None:
        if now - self.round_at > ROUND:
            self.seen = self.bad = 0
            self.round_at = now
        self.seen += 1
        self.ended_at = now
