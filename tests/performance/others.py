"""End to end through the peers, on the same sinks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.performance import sinks
from tests.performance.report import CPU, RATE, Figures
from tests.performance.world import PEERS, Child, Failed, World

CELERY = [sys.executable, "-m", "celery", "-A", "tests.performance.peers.celery_app", "worker"]
PROCESSES = 2


@dataclass(frozen=True)
class Other:
    """A peer with a provider: `sink` is that of the mode it is compared with."""

    key: str
    title: str
    sink: str
    count: int
    durable: bool = False

    @property
    def is_celery(self) -> bool:
        return self.key.startswith("celery")


OTHERS = [
    Other("post-office-http", "post_office, anymail SendGrid", "http", 3000),
    Other("post-office-http50", "post_office, anymail SendGrid, 50 ms", "http50", 1500),
    Other("post-office-smtp", "post_office, SMTP", "smtp", 3000),
    Other("celery-http", "Celery, not durable, anymail SendGrid", "http", 3000),
    Other("celery-smtp", "Celery, not durable, SMTP", "smtp", 3000),
    Other("celery-durable-http", "Celery, same rows, anymail SendGrid", "http", 2000, True),
    Other("celery-durable-smtp", "Celery, same rows, SMTP", "smtp", 2000, True),
]


def measure(world: World, other: Other, count: int) -> Figures:
    """Send `count` messages. Raises `Failed` if one is lost."""
    module = "celery_sender" if other.is_celery else "post_office"
    spec = {"count": count, "durable": other.durable} if other.is_celery else {"count": count}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sinks.of_kind(world, other.sink))
        env = {**sink.env, "DJANGO_SETTINGS_MODULE": PEERS}
        world.empty()
        workers: list[Child] = []
        if other.is_celery:
            workers = [stack.enter_context(world.running("celery", _celery(), **env))]
        program = f"tests.performance.peers.{module}"
        sender = stack.enter_context(world.sender(module, program, spec, **env))
        taken = sink.messages() or 0
        parts: dict[str, Sequence[Child]] = {"sink": sink.children}
        # post_office's command forks its workers by itself.
        parts |= {"accept": [sender], "workers": workers} if workers else {"workers": [sender]}
        before = world.cpu(parts)
        times = sender.go()
        after, found = world.cpu(parts), sink.messages() or 0
        if found - taken != count:
            raise Failed(f"the sink took {found - taken} messages of {count}")
    if other.durable:
        _check(world, count)
    return {
        RATE: count / times["seconds"],
        "accepted/s": count / times["accept"],
        **{CPU + name: (after[name] - before[name]) / count * 1e6 for name in after},
    }


def _celery() -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    return [*CELERY, "-c", str(PROCESSES), *quiet]


def _check(world: World, count: int) -> None:
    sent = world.number("SELECT count(*) FROM notifications_delivery WHERE state = 'sent'")
    attempts = world.number("SELECT count(*) FROM notifications_attempt")
    if (sent, attempts) != (count, count):
        raise Failed(f"Celery: of {count} messages {sent} are sent, by {attempts} attempts")
