from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.states import PENDING, REPORTED, State, after, furthest, joined, rank
from notifications.types import EventType
from tests.walk import each

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


@each(("state", "fact"), itertools.product(State, FACTS))
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


# --- Several copies of one message ---------------------------------------------------------------

COPIES = "abc"
reports = st.lists(st.tuples(st.sampled_from(COPIES), st.sampled_from(EventType)), max_size=12)


def by_copy(told):
    return [[event for copy, event in told if copy == one] for one in COPIES]


@given(states, reports, st.data())
def test_any_order_and_repetition_over_all_copies_gives_one_state(state, told, data):
    again = data.draw(st.lists(st.sampled_from(told), max_size=6)) if told else []
    shuffled = data.draw(st.permutations([*told, *again]))
    assert joined(state, by_copy(shuffled)) is joined(state, by_copy(told))


@given(states, events)
def test_one_copy_is_where_its_reports_are_whatever_is_known_of_the_others(state, reported):
    told = [event for event in reported if event in REPORTED]
    expected = after(State.SENT, told) if told else state
    assert joined(state, [reported, [], [EventType.OPENED]]) is expected


@given(states, reports)
def test_a_copy_that_was_delivered_and_not_sent_back_is_never_undone(state, told):
    kinds = [set(events) for events in by_copy(told)]
    is_there = any(
        EventType.DELIVERED in one and not one & {EventType.BOUNCED, EventType.COMPLAINED}
        for one in kinds
    )
    now = joined(state, by_copy(told))
    if any(EventType.COMPLAINED in one for one in kinds):
        assert now is State.COMPLAINED
    elif is_there:
        assert now is State.DELIVERED


@pytest.mark.parametrize(
    ("copies", "now"),
    [
        (["bounced", "delivered"], State.DELIVERED),
        (["bounced", "sent"], State.BOUNCED),  # until the second is heard of
        (["bounced", "sent delivered"], State.DELIVERED),
        (["delivered bounced", "sent"], State.BOUNCED),  # it came back after all
        (["delivered bounced", "delivered"], State.DELIVERED),
        (["bounced", "bounced"], State.BOUNCED),
        (["bounced complained", "delivered"], State.COMPLAINED),
        (["deferred", "opened"], State.UNKNOWN),
        ([], State.UNKNOWN),
    ],
)
def test_a_message_is_where_the_best_of_its_copies_is(copies, now):
    told = [[EventType(name) for name in copy.split()] for copy in copies]
    assert joined(State.UNKNOWN, told) is now
    assert joined(State.UNKNOWN, reversed(told)) is now
