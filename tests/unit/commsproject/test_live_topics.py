"""Whatever happens in whatever order, each follower is given every seq after its own, once."""

from __future__ import annotations

from typing import Any, cast

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from commsproject.common.live.people import Kind
from commsproject.common.live.registry import Feed
from commsproject.common.live.topics import REPLAY, Messages, Topic

FOLLOWERS = st.integers(0, 4)


def message(seq: int) -> Messages:
    return {Kind.USER: {"seq": seq}}


class Deliveries(RuleBasedStateMachine):
    """Rows 1 to `rows`, of which those up to `gone` were deleted; and followers that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.topic: Topic[int] = Topic(cast("Feed", None), "key")
        self.rows = 0
        self.gone = 0
        self.given: dict[int, int] = {}
        self.reading: tuple[int, list[int]] | None = None

    @rule(follower=FOLLOWERS, back=st.integers(0, 7))
    def come(self, follower: int, back: int) -> None:
        at = max(0, self.topic.head - back)
        self.topic.move(follower, at)
        self.given[follower] = at

    @rule(follower=FOLLOWERS)
    def go(self, follower: int) -> None:
        self.topic.drop(follower)
        self.given.pop(follower, None)

    @rule(more=st.integers(1, 5), told=st.booleans())
    def write(self, more: int, told: bool) -> None:
        self.rows += more
        if told:
            self.topic.head = self.rows

    @rule()
    def delete(self) -> None:
        self.gone = self.rows

    @rule(limit=st.integers(1, 4))
    def ask(self, limit: int) -> None:
        if self.topic.wants_more:
            after = self.topic.start()
            first = max(after, self.gone) + 1
            self.reading = after, list(range(first, min(first + limit, self.rows + 1)))

    @rule()
    def answer(self) -> None:
        """What was read arrives later than others come and go."""
        if self.reading is None:
            return
        (after, seqs), self.reading = self.reading, None
        if seqs and seqs[0] == after + 1:
            self.topic.extend(after, [message(seq) for seq in seqs])
        elif self.gone > after:
            self.skip(self.gone)

    def skip(self, seq: int) -> None:
        for follower in self.topic.skip_to(seq):
            self.given[follower] = seq

    @rule(follower=FOLLOWERS, count=st.integers(1, 6))
    def send(self, follower: int, count: int) -> None:
        for _ in range(count):
            found: Any = self.topic.next_for(follower)
            if found is None:
                self.topic.is_behind(follower)
                return
            self.given[follower] += 1
            assert found == message(self.given[follower])

    @invariant()
    def bounded(self) -> None:
        assert len(self.topic.window) <= REPLAY
        assert self.topic.cursors == self.given

    @override
    def teardown(self) -> None:
        """Left alone, everybody gets all there is."""
        self.topic.head = max(self.topic.head, self.rows)
        for _ in range(200):
            for follower in list(self.given):
                self.send(follower, 6)
            self.ask(4)
            self.answer()
        assert all(seq >= self.rows for seq in self.given.values())


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def test_a_follower_that_is_left_behind_begins_where_it_was() -> None:
    topic: Topic[str] = Topic(cast("Feed", None), "key")
    topic.move("slow", 0)
    topic.move("quick", 0)
    for seq in range(1, REPLAY + 50):
        topic.head = seq
        assert topic.extend(seq - 1, [message(seq)])
        assert topic.next_for("quick") == message(seq)
        assert topic.next_for("quick") is None
    assert topic.due() == {"slow"}
    assert len(topic.window) == REPLAY
    assert topic.next_for("slow") is None
    assert topic.is_behind("slow")
    assert topic.wants_more
    assert topic.start() == 0  # and what the quick one has is read again, and not sent again
    topic.extend(0, [message(1)])
    assert topic.next_for("slow") == message(1)
    assert topic.next_for("quick") is None
