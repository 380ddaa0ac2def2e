"""What agents, staff and mail programs do all the time, each at its own rate."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from tests.soak.caller import Caller
from tests.soak.prepare import NEWS, ORDERS, PASSWORD, PEOPLE, STAFF

ADDRESSES = 20_000
"""Different ones that emails go to: some bounce, and are suppressed from then on."""

RATES: Mapping[str, float] = {
    "single": 9.0,
    "urgent": 1.0,
    "text": 1.0,
    "inapp": 2.0,
    "later": 0.5,
    "batch": 1 / 25,
    "page": 0.4,
    "preference": 0.2,
    "unsubscribe": 0.05,
    "inbox": 1.0,
}
"""Times a second, on average."""

BATCH = (300, 600, 600, 600, 1500)
"""Rows of a batch."""

REPEATED = 0.05
"""The share of requests that are sent once more, under the same key."""

PAGES = (
    "",
    "notifications/notification/",
    "notifications/notification/?state=failed",
    "notifications/recipient/",
    "notifications/batch/",
    "notifications/deadletter/",
    "notifications/work/",
    "tracking/webhookreceipt/",
)

_PLAIN = {"subject": "Order {{ number }}", "text": "Hello {{ name }}, thanks for {{ number }}."}

MOST = 2000
"""Requests that wait for their answer together: while the service is away, agents hold back."""

Action: TypeAlias = "Callable[[int], Awaitable[None]]"


@dataclass
class Accepted:
    """What the service has said yes to. Times are monotonic."""

    keys: dict[str, str] = field(default_factory=dict)
    """Key of a single message to its id."""
    rows: dict[str, int] = field(default_factory=dict)
    """Id of a batch to how many of its rows were accepted."""
    cancelled: set[str] = field(default_factory=set)
    """Messages of which it said that they never go out."""
    urgent: dict[str, float] = field(default_factory=dict)
    """Address of an urgent message to when its request began."""
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When each single message was accepted, and how long that took."""
    wrong: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        return len(self.keys) + sum(self.rows.values())


class Load:
    def __init__(
        self, caller: Caller, browser: Caller, tokens: list[str], links: list[str], seed: int
    ) -> None:
        """`links` are unsubscribe links that have come out, each to be used once."""
        self.accepted = Accepted()
        self.acted: dict[str, int] = dict.fromkeys(RATES, 0)
        self._caller, self._browser = caller, browser
        self._tokens, self._links = tokens, links
        self._random = Random(seed)
        self._staff = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """At the end of the block everything that was begun gets its answer."""
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(self._keep(kind, rate)) for kind, rate in RATES.items()]
            try:
                yield
            finally:
                for loop in loops:
                    loop.cancel()
        await asyncio.gather(*self._under_way)

    async def _keep(self, kind: str, rate: float) -> None:
        """Independent of one another: the next does not wait for the one before, and what came late,
        on a machine that has more to do, is caught up with.
        """
        action: Action = getattr(self, f"_{kind}")
        due = time.monotonic()
        while True:
            due += self._random.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(self._under_way) < MOST:
                task = asyncio.ensure_future(action(self.acted[kind]))
                self._under_way.add(task)
                task.add_done_callback(self._ended)
                self.acted[kind] += 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.accepted.wrong.append(f"{type(error).__name__}: {error}")

    # --- Messages ------------------------------------------------------------------------------

    async def _single(self, number: int) -> None:
        await self._notify(f"single-{number}", self._message())

    async def _urgent(self, number: int) -> None:
        to = f"urgent-{number}@example.org"
        self.accepted.urgent[to] = time.monotonic()
        content = {"subject": "Your code", "text": f"{number:06}"}
        body = {"to": {"email": to}, "content": content, "category": ORDERS, "priority": "urgent"}
        await self._notify(f"urgent-{number}", body)

    async def _text(self, number: int) -> None:
        body = {
            "to": {"phone": f"+1415555{self._random.randrange(10_000):04}"},
            "channels": ["sms"],
            "content": {"text": f"Parcel {number} is here."},
            "category": ORDERS,
        }
        await self._notify(f"text-{number}", body)

    async def _inapp(self, number: int) -> None:
        body = {
            "to": {"user_id": f"person-{self._random.randrange(PEOPLE)}"},
            "channels": ["inapp"],
            "content": {"title": f"News {number}", "body": "Something happened."},
            "category": ORDERS,
        }
        await self._notify(f"inapp-{number}", body)

    async def _later(self, number: int) -> None:
        """In up to a minute; half of them are cancelled, some too late."""
        wait = self._random.uniform(2, 60)
        at = datetime.now(UTC) + timedelta(seconds=wait)
        id_ = await self._notify(f"later-{number}", {**self._message(), "send_at": at.isoformat()})
        if id_ and self._random.random() < 0.5:
            await asyncio.sleep(self._random.uniform(0, wait))
            asked = await self._caller.api("POST", f"notifications/{id_}/cancel", wanted=(200, 409))
            if asked[0] == 200 and asked[1]["status"] == "cancelled":
                self.accepted.cancelled.add(id_)

    def _message(self) -> dict[str, Any]:
        category = self._random.choice((ORDERS, NEWS))
        return {
            "to": {"email": self._address()},
            "channels": ["email"],
            "template": category,
            "data": {"name": "Ada", "number": "A-1", "rows": ["Lamp", "Chair"]},
            "category": category,
        }

    def _address(self) -> str:
        return f"reader-{self._random.randrange(ADDRESSES)}@example.org"

    async def _notify(self, key: str, body: dict[str, Any]) -> str:
        headers = {"Idempotency-Key": key}
        ask = {"json": body, "headers": headers, "wanted": (202,)}
        is_repeated = self._random.random() < REPEATED
        status, told, seconds = await self._caller.api("POST", "notifications", **ask)
        if status != 202:
            return ""
        self.accepted.waits.append((time.monotonic(), seconds))
        self.accepted.keys[key] = told["id"]
        if is_repeated:
            status, again, _ = await self._caller.api("POST", "notifications", **ask)
            if status == 202 and again["id"] != told["id"]:
                self.accepted.wrong.append(f"{key}: {again['id']} after {told['id']}")
        return str(told["id"])

    # --- Batches -------------------------------------------------------------------------------

    async def _batch(self, number: int) -> None:
        rows = [
            {"to": {"email": self._address()}, "data": {"name": "Ada", "number": f"{number}-{row}"}}
            for row in range(self._random.choice(BATCH))
        ]
        path, data, kind = _UPLOADS[number % len(_UPLOADS)](rows)
        headers = {"Idempotency-Key": f"batch-{number}", "Content-Type": kind}
        status, told, _ = await self._caller.api(
            "POST", path, data=data, headers=headers, wanted=(202,)
        )
        if status != 202:
            return
        self.accepted.rows[told["id"]] = told["accepted"]
        if told["accepted"] != len(rows):
            self.accepted.wrong.append(f"batch {number}: {told['accepted']} of {len(rows)} rows")
        await self._interfere(number, told["id"])

    async def _interfere(self, number: int, id_: str) -> None:
        """Every fourth is paused and goes on, every ninth is cancelled."""
        paused = ("pause", "resume") if number % 4 == 0 else ()
        for word in ("cancel",) if number % 9 == 8 else paused:
            await asyncio.sleep(self._random.uniform(0, 3))
            await self._caller.api("POST", f"batches/{id_}/{word}", wanted=(200, 409))

    # --- What else goes on -----------------------------------------------------------------------

    async def _page(self, number: int) -> None:
        """Of the console, by a member of staff who signs in again when asked to."""
        browser = self._browser
        path = f"/admin/{PAGES[number % len(PAGES)]}"
        async with self._staff:
            for _ in range(3):
                status, page, _ = await browser.ask("GET", path)
                if status != 200:
                    return
                if not (form := re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page)) or (
                    b'name="password"' not in page
                ):
                    return
                fields = {"username": STAFF, "password": PASSWORD, "next": path}
                fields["csrfmiddlewaretoken"] = form[1].decode()
                await browser.ask("POST", "/admin/login/", data=fields, wanted=(200, 403))
        self.accepted.wrong.append(f"{path}: cannot sign in")

    async def _preference(self, number: int) -> None:
        who = self._random.randrange(PEOPLE)
        choice = {"category": NEWS, "channel": "email", "is_on": bool(number % 2)}
        path = f"recipients/person-{who}/preferences"
        body = {"preferences": [choice]}
        await self._caller.api("PUT", path, json=body, token=self._tokens[who])

    async def _unsubscribe(self, number: int) -> None:
        if self._links:
            path = re.sub("^https://[^/]+", "", self._links.pop())
            await self._caller.ask("POST", path, data={"List-Unsubscribe": "One-Click"})

    async def _inbox(self, number: int) -> None:
        """Somebody opens theirs, and reads it."""
        token = self._random.choice(self._tokens)
        await self._caller.api("GET", "inbox?limit=20", token=token)
        if number % 5 == 0:
            await self._caller.api("POST", "inbox/read", json={"all": True}, token=token)


# --- The three forms of a batch --------------------------------------------------------------------


def _as_json(rows: list[dict[str, Any]]) -> tuple[str, bytes, str]:
    body = {"rows": rows, "content": _PLAIN, "category": NEWS, "channels": ["email"]}
    return "batches", json.dumps(body).encode(), "application/json"


def _as_ndjson(rows: list[dict[str, Any]]) -> tuple[str, bytes, str]:
    asked = {"template": NEWS, "category": NEWS, "data": json.dumps({"rows": ["Lamp"]})}
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return f"batches?{urlencode(asked, quote_via=quote)}", body, "application/x-ndjson"


def _as_csv(rows: list[dict[str, Any]]) -> tuple[str, bytes, str]:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("email", "name", "number"))
    writer.writerows((row["to"]["email"], *row["data"].values()) for row in rows)
    asked = {"content": json.dumps(_PLAIN), "category": NEWS, "pace": "200"}
    return f"batches?{urlencode(asked, quote_via=quote)}", file.getvalue().encode(), "text/csv"


_UPLOADS = (_as_json, _as_ndjson, _as_csv)


def percentiles(values: Iterator[float]) -> dict[str, float]:
    ranked = sorted(values)
    if not ranked:
        return {}
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: ranked[min(int(share * len(ranked)), len(ranked) - 1)] for name, share in at.items()
    }
