"""The bell against a real broker, and against one that is away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from commsproject.common import doorbell, valkey

FAULTS = ["refuse", "blackhole", "reset"]


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def sent() -> Counter:
    return Counter()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    valkey.client().delete("comms:bell:tests", "comms:bell:others")


def often(function, *args) -> None:
    for _ in range(1000):
        function(*args)


def took(function, *args) -> float:
    started = time.monotonic()
    function(*args)
    return time.monotonic() - started


def test_many_rings_are_one_until_somebody_answers(sent):
    for _ in range(100):
        doorbell.ring("tests", sent)
    assert sent.count == 1
    doorbell.answer("tests")
    doorbell.ring("tests", sent)
    assert sent.count == 2


def test_each_bell_rings_by_itself(sent):
    doorbell.ring("tests", sent)
    doorbell.ring("others", sent)
    assert sent.count == 2
    doorbell.answer("others")
    doorbell.ring("tests", sent)
    assert sent.count == 2


def test_a_ring_that_nobody_answers_is_forgotten(sent):
    doorbell.ring("tests", sent)
    left: Any = valkey.client().pttl("comms:bell:tests")
    assert 0 < left <= 1000


def test_an_answer_to_no_ring_is_no_error():
    doorbell.answer("tests")
    doorbell.answer("tests")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broker_that_is_away_costs_one_ring_less_than_a_second(broker, sent, fault):
    with broker.fault(fault):
        assert took(doorbell.ring, "tests", sent) < 1
        assert took(often, doorbell.ring, "tests", sent) < 0.2
        assert took(often, doorbell.answer, "tests") < 0.2
    assert sent.count == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_connection_that_was_open_may_break_too(broker, sent, fault):
    doorbell.ring("tests", sent)
    doorbell.answer("tests")
    with broker.fault(fault):
        assert took(doorbell.ring, "tests", sent) < 1
    assert sent.count == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_to_a_broker_that_is_away_costs_as_little(broker, sent, fault):
    with broker.fault(fault):
        assert took(doorbell.answer, "tests") < 1
        assert took(doorbell.ring, "tests", sent) < 0.1
    assert sent.count == 0


def test_a_second_later_the_broker_is_asked_again(broker, sent):
    with broker.fault("refuse"):
        doorbell.ring("tests", sent)
    doorbell.ring("tests", sent)
    assert sent.count == 0
    valkey._silent_until = time.monotonic()  # a second has passed
    doorbell.ring("tests", sent)
    assert sent.count == 1


def test_it_is_left_alone_for_a_second_and_no_longer(broker, sent):
    with broker.fault("refuse"):
        doorbell.ring("tests", sent)
    assert 0.9 < valkey._silent_until - time.monotonic() <= 1


@pytest.mark.parametrize("error", [OSError, ValueError, TimeoutError], ids=lambda e: e.__name__)
def test_whatever_goes_wrong_while_sending_nobody_hears_of_it(error):
    def send() -> None:
        raise error("defect")

    doorbell.ring("tests", send)
    doorbell.ring("tests", send)


def test_the_log_says_that_the_bell_is_away_and_nothing_else(broker, sent, caplog):
    with broker.fault("refuse"):
        doorbell.ring("tests", sent)
        doorbell.ring("tests", sent)
    assert caplog.text.count("valkey unavailable") == 1
    assert "redis://" not in caplog.text
