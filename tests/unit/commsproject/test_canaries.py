"""The watch over the suite's logs sees what it is there for."""

from __future__ import annotations

import logging

from tests import canaries

LEAKS = (
    "It works.",
    "to ada@example.com",
    "sms to +4915112345678",
    "comm_live_abcdEFGH_" + "x" * 20,
    "canary-text",
)


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, text, None, None)


def test_what_is_seen_and_what_redaction_takes_out_before() -> None:
    assert all(canaries.found(text) for text in LEAKS)
    assert not canaries.found("018f 2026-11-22T12:00:00+00:00 [email] simulator.test 200")
    watch = canaries.Watch()
    for text in LEAKS:
        watch.emit(line(text))
    assert len(watch.told) == 2  # words of messages have no shape: they must never be logged
