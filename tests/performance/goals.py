"""What was promised, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.performance.report import RATE, Report

Measured = Callable[[Report], float | None]


@dataclass(frozen=True)
class Goal:
    """For the measurement of `key`: `bound` is the least that will do, or with `is_most` the most."""

    what: str
    key: str
    bound: float
    measured: Measured
    is_most: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.is_most else value >= self.bound


def _least(what: str, key: str, name: str, bound: float) -> Goal:
    return Goal(what, key, bound, lambda report: report.median(key, name))


def _most(what: str, key: str, name: str, bound: float) -> Goal:
    return Goal(what, key, bound, lambda report: report.median(key, name), is_most=True)


def _better(key: str, bound: float) -> Goal:
    what = f"({key}) times the better peer"
    return Goal(what, key, bound, lambda report: report.times_better(key))


def _fanned_out(what: str, peer: str, bound: float) -> Goal:
    def measured(report: Report) -> float | None:
        ours, theirs = (report.median(key, "deliveries/s") for key in ("fanout", peer))
        return ours / theirs if ours and theirs else None

    return Goal(what, "fanout", bound, measured)


def _slowest_page(report: Report) -> float | None:
    names = [name for name in report.names("console") if name.endswith(" p95 ms")]
    return max((report.median("console", name) or 0 for name in names), default=None)


GOALS = [
    _least("(a) SendGrid in provider batches, messages/s", "a", RATE, 10_000),
    _better("a", 20),
    _least("(b) SendGrid, a call each, messages/s", "b", RATE, 3500),
    _better("b", 8),
    _least("(b) at 50 ms a call, messages/s", "b50", RATE, 2500),
    _least("(c) SMTP, messages/s", "c", RATE, 2000),
    _better("c", 4.4),
    _least("(d) the engine alone, messages/s", "d", RATE, 20_000),
    _most("An urgent message during a bulk, p99 ms", "urgent", "p99 ms", 1000),
    _least("A batch of 1,000,000, rows/s", "million", "rows accepted/s", 8000),
    _most("A batch of 1,000,000, MB grown", "million", "web MB growth", 300),
    _least("64 agents, requests/s", "submission", "64 clients, no worker runs; requests/s", 2000),
    _most("64 agents, p99 ms", "submission", "64 clients, no worker runs; p99 ms", 60),
    _least(
        "64 agents while all is sent, requests/s",
        "submission",
        "64 clients, workers send; requests/s",
        2000,
    ),
    _most(
        "64 agents while all is sent, p99 ms", "submission", "64 clients, workers send; p99 ms", 60
    ),
    _least("A render, times Django's engine", "templates", "Django, x slower than ours", 5),
    _most("A whole message rendered, p99 ms", "templates", "message, p99 ms", 1),
    _most("A template saved, p95 ms", "templates", "save, p95 ms", 50),
    _least("Fan-out, deliveries/s", "fanout", "deliveries/s", 40_000),
    _most("Fan-out, p99 ms", "fanout", "p99 ms", 80),
    _fanned_out("Fan-out, times plain Channels", "fanout-channels", 8),
    _fanned_out("Fan-out, times a bare broadcast", "fanout-websockets", 0.5),
    _most("An idle socket, KB", "sockets", "KB a socket after two heartbeats", 40),
    _most("A line of a conversation to the other's screen, p95 ms", "chat", "p95 ms", 100),
    _most("A page of a million entries, p95 ms", "history", "page p95 ms", 50),
    _most("A search in five million entries, p95 ms", "history", "search p95 ms", 200),
    _least("Webhook events in, events/s", "events-in", "by the hundred, events/s", 2000),
    Goal("The slowest page of the console, p95 ms", "console", 300, _slowest_page, is_most=True),
    _most("Analytics of 10 million messages, p99 ms", "dashboard", "the slowest, p99 ms", 100),
    _most(
        "A claim with 20 million stored, p95 ms",
        "growth",
        "claim among 300,000 p95 ms at 20,000,000",
        20,
    ),
    _least("With faults, messages/hour", "soak", "messages/hour", 100_000),
    _most("With faults, things wrong", "soak", "things wrong", 0),
    _most("Memory, files and the like that grow", "soak", "of them growing", 0),
]
