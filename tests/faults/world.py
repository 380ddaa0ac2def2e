"""What the fault tests have in common: settings of the processes, messages, agents that insist."""

from __future__ import annotations

import contextlib
import ssl
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
from django.db import connection, transaction

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import Delivery, Work
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.states import PENDING, State
from notifications.types import Channel, Lane
from tests.fakes.sendgrid import SendGridServer
from tests.processes import eventually

KEY = "SG.fake"

PATIENCE = 180.0
"""Seconds until what must happen counts as not happening: of a machine that does other work too."""

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Of clients that never use it. Each would read all certificates of the machine: 90 ms (measured)."""


def env(sendgrid: SendGridServer, **changes: str) -> dict[str, str]:
    """The environment of a process that sends by `sendgrid`, with short waits."""
    return {
        **sendgrid.env,
        "POLL_SECONDS": "0.3",
        "DJANGO_SETTINGS_MODULE": "tests.impatient_settings",
        **changes,
    }


def accept(count: int, *, first: int = 0, agent: str = "billing", lane: Lane = Lane.NORMAL) -> None:
    """Messages to user-0@example.org and so on, in one work for each 500."""
    client, _ = ApiClient.objects.get_or_create(name=agent)
    asked = [
        Submission(
            to=Target(addresses={Channel.EMAIL: f"user-{first + number}@example.org"}),
            content={"subject": "Hello", "text": "It works."},
            priority=lane,
        )
        for number in range(count)
    ]
    with transaction.atomic():
        submit.accept(client, asked)


def secret_of(agent: str) -> str:
    """A new API key that may do everything."""
    client, _ = ApiClient.objects.get_or_create(name=agent)
    return keys.issue(client, list(Scope))[1]


def is_quiet() -> bool:
    """Nothing is pending but what waits for a receipt."""
    pending = Delivery.objects.filter(state__in=PENDING)
    return not (
        pending.exclude(state=State.UNKNOWN).exists()
        or Work.objects.filter(kind=Work.Kind.SEND).exists()
    )


def all_ended() -> bool:
    return not Work.objects.exists()


def has_started(log: Path, what: str = "worker started") -> bool:
    return log.exists() and what in log.read_text()


def is_ready(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        url = f"http://{host}:{port}/health/live"
        return httpx2.get(url, trust_env=False, verify=TLS).status_code == 200
    return False


@contextlib.contextmanager
def moved_to(url: str) -> Iterator[None]:
    """This process's own connection leads to the database at `url`."""
    parts, before = urlsplit(url), dict(connection.settings_dict)
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's
    connection.settings_dict.update(
        HOST=parts.hostname,
        PORT=parts.port,
        USER=parts.username,
        PASSWORD=parts.password,
        NAME=parts.path.strip("/"),
    )
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        connection.settings_dict.update(before)


def reconnect() -> None:
    """Forget connections that died with the server."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Answer:
    """How one request ended. `status` 0: the connection broke before there was an answer."""

    key: str
    status: int
    seconds: float
    at: float
    id: str = ""
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Agents:
    """Threads that post messages, each under an idempotency key that it repeats until it gets a 202.

    `url` is asked before each request, which has `timeout` seconds. What they post goes to
    `<key>@example.org`.
    """

    def __init__(
        self,
        url: Callable[[], str],
        secret: str,
        *,
        threads: int = 4,
        lane: Lane = Lane.NORMAL,
        pause: float = 0.0,
        timeout: float = 30.0,
    ) -> None:
        self.answers: list[Answer] = []
        self._timeout = timeout
        self._url, self._secret, self._lane, self._pause = url, secret, lane, pause
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._post_on, args=(number,), daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Returns when each has its last 202."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE if kind is None else 1)
        if kind is None:
            assert not any(thread.is_alive() for thread in self._threads)

    @property
    def ids(self) -> dict[str, set[str]]:
        """Key to every id that was answered for it."""
        found: dict[str, set[str]] = defaultdict(set)
        for answer in list(self.answers):
            if answer.status == 202:
                found[answer.key].add(answer.id)
        return found

    @property
    def accepted(self) -> list[str]:
        """The ids. Each key must have one."""
        assert all(len(ids) == 1 for ids in self.ids.values())
        return [id_ for ids in self.ids.values() for id_ in ids]

    def statuses(self, since: float = 0.0) -> set[int]:
        return {answer.status for answer in list(self.answers) if answer.at >= since}

    def more(self, count: int) -> None:
        """Wait for `count` more 202s."""
        goal = self._taken() + count
        eventually(lambda: self._taken() >= goal, PATIENCE)

    def refused(self, count: int) -> None:
        """Wait for `count` more that are no 202s."""
        goal = len(self.answers) - self._taken() + count
        eventually(lambda: len(self.answers) - self._taken() >= goal, PATIENCE)

    def once(self, key: str) -> Answer:
        """Post one from here, which is not repeated."""
        with self._client() as client:
            return self._post(client, key)

    def repeat(self, limit: int) -> None:
        """Post some of the keys once more."""
        with self._client() as client:
            for key in list(self.ids)[:limit]:
                self._post(client, key)

    def _taken(self) -> int:
        return sum(answer.status == 202 for answer in list(self.answers))

    def _post_on(self, thread: int) -> None:
        number = 0
        while not self._stopping.is_set():
            self._insist(f"{self._lane}-{thread}-{number}")
            number += 1
            self._stopping.wait(self._pause)

    def _insist(self, key: str) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self._client() as client:
                while (answer := self._post(client, key)).status == 503:
                    time.sleep(0.1)
            if answer.status != 0:  # done, or refused in a way that the test must see
                return
            time.sleep(0.05)

    def _client(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self._secret}"}
        return httpx2.Client(headers=headers, timeout=self._timeout, trust_env=False, verify=TLS)

    def _post(self, client: httpx2.Client, key: str) -> Answer:
        body = {
            "to": {"email": f"{key}@example.org"},
            "content": {"subject": "Hello", "text": "It works."},
            "priority": self._lane.value,
        }
        started = time.monotonic()
        try:
            got = client.post(
                f"{self._url()}/api/v1/notifications",
                json=body,
                headers={"Idempotency-Key": key},
            )
        except httpx2.TransportError as error:
            answer = Answer(key, 0, time.monotonic() - started, started, code=type(error).__name__)
        else:
            told = got.json()
            answer = Answer(
                key,
                got.status_code,
                time.monotonic() - started,
                started,
                told.get("id", ""),
                told.get("code", ""),
                got.headers,
            )
        self.answers.append(answer)
        return answer


def tell(name: str, seconds: Sequence[float]) -> None:
    """How long things took, for whoever runs `make faults`."""
    shown = {
        "p50": percentile(seconds, 0.5),
        "p95": percentile(seconds, 0.95),
        "p99": percentile(seconds, 0.99),
        "max": max(seconds),
    }
    times = ", ".join(f"{part} {value * 1000:.0f} ms" for part, value in shown.items())
    sys.stdout.write(f"{name} ({len(seconds)}): {times}\n")


def percentile(seconds: Sequence[float], part: float) -> float:
    ranked = sorted(seconds)
    return ranked[min(int(len(ranked) * part), len(ranked) - 1)]
