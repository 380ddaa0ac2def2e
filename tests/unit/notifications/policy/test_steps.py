from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifications.policy import Delay, Refusal, step
from notifications.states import State
from notifications.types import Unless

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
SENT, DELIVERED, READ = Unless
SEND, WAIT, NEEDLESS = None, Delay, Refusal


@pytest.mark.parametrize(
    ("unless", "due", "before", "was_read", "answer"),
    [
        (READ, LATER, [State.DELIVERED], False, WAIT),
        (READ, NOW, [State.DELIVERED], False, SEND),
        (READ, LATER, [State.DELIVERED], True, NEEDLESS),
        (READ, NOW, [State.DELIVERED], True, NEEDLESS),
        (DELIVERED, LATER, [State.SENT], False, WAIT),
        (DELIVERED, NOW, [State.SENT], False, SEND),
        (DELIVERED, LATER, [State.DELIVERED], False, NEEDLESS),
        (DELIVERED, LATER, [State.FAILED, State.DELIVERED], False, NEEDLESS),
        (DELIVERED, LATER, [State.SENT], True, NEEDLESS),
        (SENT, LATER, [State.SENT], False, NEEDLESS),
        (SENT, LATER, [State.QUEUED], False, WAIT),
        (SENT, NOW, [State.UNKNOWN], False, SEND),
        (DELIVERED, LATER, [State.BOUNCED], False, SEND),
        (DELIVERED, LATER, [State.DEAD, State.SUPPRESSED], False, SEND),
        (DELIVERED, LATER, [State.DEAD, State.SENDING], False, WAIT),
        (READ, LATER, [], False, SEND),
    ],
)
def test_a_step_waits_is_needless_or_goes(unless, due, before, was_read, answer):
    found = step(unless, due, NOW, before, was_read=was_read)
    if answer is None:
        assert found is None
    else:
        assert isinstance(found, answer)
        assert found.until == LATER if isinstance(found, Delay) else found.state is State.CANCELLED
