from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.states import PENDING, REPORTED, State, after, furthest, rank
from notifications.types import EventType

LATTICE = [State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED]
ENGINES_OWN = [state for state in State if state not in LATTICE]
FACTS = [event for event in EventType if event not in REPORTED]

states = st.sampled_from(State)
events = st.lists(st.sampled_from(EventType), max_size=12)


@given(states, events, st.randoms(use_true_random=False))
def test_any_order_of_events_gives_the_same_state(state, reported, random):
    shuffled = random.sample(reported, len(reported))
    assert after(state, shuffled) is after(state, reported)


@given(states, events, st.data())
def test_repeated_events_change_nothing(state, reported, data):
    again = data.draw(st.lists(st.sampled_from(reported), max_size=6)) if reported else []
    assert after(state, [*reported, *again]) is after(state, reported)


@given(states, events, st.integers(0, 12))
def test_events_in_several_webhooks_say_what_they_say_in_one(state, reported, cut):
    assert after(after(state, reported[:cut]), reported[cut:]) is after(state, reported)


@given(states, events)
def test_a_report_never_lowers_a_state(state, reported):
    assert rank(after(state, reported)) >= rank(state)


def test_the_lattice_is_sent_delivered_bounced_complained():
    assert [rank(state) for state in LATTICE] == [0, 1, 2, 3]
    assert list(REPORTED.values()) == LATTICE


@pytest.mark.parametrize(
    ("was", "event", "now"),
    [
        (State.BOUNCED, EventType.DELIVERED, State.BOUNCED),
        (State.BOUNCED, EventType.SENT, State.BOUNCED),
        (State.DELIVERED, EventType.BOUNCED, State.BOUNCED),
        (State.DELIVERED, EventType.SENT, State.DELIVERED),
        (State.DELIVERED, EventType.COMPLAINED, State.COMPLAINED),
        (State.COMPLAINED, EventType.BOUNCED, State.COMPLAINED),
        (State.SENT, EventType.DELIVERED, State.DELIVERED),
        (State.UNKNOWN, EventType.SENT, State.SENT),
    ],
)
def test_a_report_moves_a_state_only_upwards(was, event, now):
    assert after(was, [event]) is now


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ENGINES_OWN, REPORTED)))
def test_a_receipt_outranks_whatever_the_engine_thought(state, event):
    assert after(state, [event]) is REPORTED[event]


@pytest.mark.parametrize(("state", "fact"), list(itertools.product(State, FACTS)))
def test_facts_are_no_states(state, fact):
    assert after(state, [fact]) is state


@pytest.mark.parametrize("state", State)
def test_no_events_leave_the_state(state):
    assert after(state, []) is state


def test_pending_are_the_engines_own_states_and_no_end():
    assert {State.SCHEDULED, State.QUEUED, State.SENDING, State.UNKNOWN} == PENDING
    assert not PENDING & set(LATTICE)


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([State.QUEUED], State.QUEUED),
        ([State.QUEUED, State.SENT], State.SENT),
        ([State.SUPPRESSED, State.QUEUED], State.QUEUED),
        ([State.SUPPRESSED, State.DELIVERED], State.DELIVERED),
        ([State.DELIVERED, State.BOUNCED], State.BOUNCED),
        ([State.COMPLAINED, State.BOUNCED], State.COMPLAINED),
        ([State.FAILED, State.UNKNOWN], State.UNKNOWN),
        ([State.DEAD, State.FAILED, State.EXPIRED], State.DEAD),
        ([State.SCHEDULED, State.QUEUED], State.QUEUED),
        ([State.CANCELLED, State.SUPPRESSED], State.CANCELLED),
    ],
)
def test_a_notification_has_the_state_of_the_delivery_that_got_furthest(states, status):
    assert furthest(states) is status
    assert furthest(reversed(states)) is status


@given(st.lists(states, min_size=1))
def test_the_furthest_is_one_of_them_for_any_states(some):
    assert furthest(some) in some
    assert furthest(some) is furthest(reversed(some))


@given(st.lists(states, min_size=1))
def test_work_that_is_left_is_never_hidden_by_an_end_without_a_message(some):
    if set(some) & PENDING and not set(some) & set(LATTICE):
        assert furthest(some) in PENDING
