"""The soak: `make soak`, or `make soak ARGS="--minutes 60 --seed 7"`.

A mixed load on everything that `make run` starts, with vendors that misbehave and faults drawn from a
seed. Exits non-zero where a message is unaccounted for, the ledger does not add up, an answer is one
that nothing explains, or memory, files or connections grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlsplit

import psycopg

from notifications.providers.common.http_loop import IDLE_SECONDS
from tests.performance import sinks
from tests.performance.report import machine
from tests.performance.world import ROOT, Child, Failed, World, free_port
from tests.soak import faults, report, verdict
from tests.soak.caller import Caller
from tests.soak.load import Load, percentiles
from tests.soak.people import Crowd, Follower
from tests.soak.prepare import FOLLOWERS, ORDERS, ROOM_SIZE
from tests.soak.reports import Reports
from tests.soak.vendors import Vendors
from tests.soak.watch import Watch

SETTINGS = "tests.soak.settings"
START = 300.0
"""Seconds for the web process, on a machine that has more to do."""

DRAIN = 420.0
"""Seconds for all that is left when the load ends: the second and third try of a webhook take six
minutes.
"""

REST = IDLE_SECONDS + 30
"""Seconds after the last call by which an event loop has closed its connections to vendors."""

_LEFT = """
SELECT (SELECT count(*) FROM notifications_work WHERE kind = 'send'),
    (SELECT count(*) FROM notifications_work WHERE lane <> 'bulk'),
    (SELECT count(*) FROM common_outboxevent),
    (SELECT count(*) FROM tracking_webhookreceipt WHERE processed_at IS NULL),
    (SELECT count(*) FROM tracking_webhookdelivery WHERE delivered_at IS NULL)
"""

_HEARD = ("delivered", "bounced", "complained", "failed", "cancelled", "suppressed")


class Soak:
    def __init__(self, world: World, seed: int, minutes: float) -> None:
        self.world, self.seed, self.seconds = world, seed, minutes * 60
        self.vendors = Vendors(seed)
        self.links: list[str] = []
        self.figures: dict[str, Any] = {"seed": seed, "load seconds": self.seconds, "wrong": []}
        self.left: dict[str, Any] = {}
        """What the accounts are made from."""
        self._seen = (0, 0)
        self._scheduled = (0.0, 0.0)
        self._urgent: dict[str, float] = {}
        self._lags: list[tuple[float, float]] = []

    def run(self) -> dict[str, Any]:
        """The figures of the whole run."""
        world = self.world
        port = free_port()
        env = {**self.vendors.env, "DJANGO_SETTINGS_MODULE": SETTINGS, "PORT": str(port)}
        known = self._prepare(env)
        with ExitStack() as stack:
            stack.enter_context(self.vendors.running())
            env |= {"PYTHONWARNINGS": "default::ResourceWarning"}
            command = [sys.executable, "-m", "tests.soak.service"]
            supervisor = stack.enter_context(world.running("service", command, **env))
            world.wait(lambda: sinks.listens(port), START, [supervisor])
            asyncio.run(self._story(supervisor, f"http://127.0.0.1:{port}", known))
        self.figures["log"] = _log(supervisor.log)
        self._account(env)
        return self.figures

    def _prepare(self, env: Mapping[str, str]) -> dict[str, Any]:
        self.world.manage("migrate", "--verbosity", "0", **env)
        words = [sys.executable, "-m", "tests.soak.prepare"]
        known: dict[str, Any] = json.loads(self.world.output(words, env))
        return known

    async def _story(self, supervisor: Child, base: str, known: Mapping[str, Any]) -> None:
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(Caller(base, known["key"]))
            schedule, scheduled = await self._set_up(caller), time.time()
            browser = await stack.enter_async_context(Caller(base, ""))
            load = Load(caller, browser, known["tokens"], self.links, self.seed)
            reports = Reports(caller, self.vendors, self.links, self.seed)
            crowd = Crowd(_followers(caller, known, self.seed))
            port, vendors = urlsplit(base).port or 0, self.vendors.ports
            watch = Watch(self.world, supervisor, port, vendors, lambda: self._now(load))
            trouble = faults.Trouble(self.world, supervisor, self.vendors)
            stopping = asyncio.Event()
            reporting = asyncio.ensure_future(reports.go_on(stopping))
            stack.enter_context(watch.going_on())
            await stack.enter_async_context(crowd.connected())
            await self._load(load, crowd, trouble)
            began = time.monotonic()
            await caller.api("PATCH", f"schedules/{schedule}", json={"enabled": False})
            self._scheduled = (scheduled, time.time())
            stopping.set()
            await reporting
            self.figures["drain seconds"] = await self._drain(supervisor, began)
            await self._catch_up(crowd, caller)
            await asyncio.sleep(REST)
            self.figures["at rest"] = await asyncio.to_thread(watch.processes)
        self._keep(load, reports, crowd, (caller, browser), watch, trouble)

    async def _set_up(self, caller: Caller) -> str:
        """The endpoint of our webhooks, and a schedule that is due every minute: its id."""
        events = [f"notification.{name}" for name in _HEARD]
        body: dict[str, Any] = {"url": f"{self.vendors.endpoint.url}/hook", "events": events}
        await caller.api("POST", "webhook-endpoints", json=body, wanted=(201,))
        message = {
            "to": {"email": "minute@example.org"},
            "content": {"subject": "A minute", "text": "has gone."},
            "category": ORDERS,
            "reference": "soak-minute",
        }
        body = {"name": "minute", "cron": "* * * * *", "missed": "all", "notification": message}
        _, told, _ = await caller.api("POST", "schedules", json=body, wanted=(201,))
        if caller.wrong:
            raise Failed(caller.wrong[0])
        return str(told["id"])

    async def _load(self, load: Load, crowd: Crowd, trouble: faults.Trouble) -> None:
        plan = faults.plan(self.seed, self.seconds)
        async with trouble.going_on(plan), load.going_on(), crowd.writing():
            await asyncio.sleep(self.seconds)

    async def _drain(self, supervisor: Child, began: float) -> float:
        while (waited := time.monotonic() - began) < DRAIN:
            supervisor.check()
            left = await asyncio.to_thread(self._ask, _LEFT)
            if not any(left[0]):
                return waited
            await asyncio.sleep(1)
        self.figures["wrong"].append(
            f"not done {DRAIN:.0f} s after the load: works, urgent or normal ones, events, receipts,"
            f" webhooks: {left[0]}"
        )
        return waited

    async def _catch_up(self, crowd: Crowd, caller: Caller) -> None:
        rows = self._ask("SELECT id::text, last_seq FROM conversations_conversation")
        inboxes = {}
        for one in crowd.followers:
            status, page, _ = await caller.api("GET", "inbox?limit=1", token=one.token)
            inboxes[one.token] = page["seq"]["inbox"] if status == 200 else one.inbox
        await crowd.caught_up({id_: int(seq) for id_, seq in rows}, inboxes)

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.world.database_url) as look:
            return look.execute(query.encode()).fetchall()

    def _now(self, load: Load) -> dict[str, Any]:
        """What the last ten seconds were like. Called by the watch, on its thread."""
        accepted, taken = load.accepted.messages, len(self.vendors.taken)
        waits, load.accepted.waits = load.accepted.waits, []
        self._lags += waits
        urgent = list(self._arrived(load))
        before, self._seen = self._seen, (accepted, taken)
        return {
            "rate": {"accepted": (accepted - before[0]) / 10, "taken": (taken - before[1]) / 10},
            "submit": percentiles(seconds for _, seconds in waits),
            "urgent": percentiles(iter(urgent)),
        }

    def _arrived(self, load: Load) -> list[float]:
        new = []
        for one in self.vendors.taken[self._seen[1] :]:
            began = load.accepted.urgent.get(one.to)
            if began is not None and one.to not in self._urgent:
                self._urgent[one.to] = one.at - began
                new.append(one.at - began)
        return new

    def _keep(
        self,
        load: Load,
        reports: Reports,
        crowd: Crowd,
        callers: tuple[Caller, ...],
        watch: Watch,
        trouble: faults.Trouble,
    ) -> None:
        said = load.accepted
        self._now(load)
        self.figures["wrong"] += [line for one in callers for line in one.wrong]
        self.figures["wrong"] += [*said.wrong, *crowd.wrong, *trouble.wrong]
        missing = said.urgent.keys() - self._urgent.keys()
        self.figures["wrong"] += [f"{to}: never came" for to in sorted(missing)]
        self.left = {
            "keys": said.keys,
            "rows": said.rows,
            "cancelled": sorted(said.cancelled),
            "taken": [(one.message, one.attempt) for one in self.vendors.taken],
            "reported": sorted(
                id_ for id_, kinds in reports.told.items() if kinds & {"delivered", "bounce"}
            ),
            "heard": sorted(self.vendors.endpoint.ids),
            "told": sorted(self.vendors.endpoint.told),
            "written": sorted(id_ for one in crowd.followers for id_ in one.written),
            "scheduled": self._scheduled,
        }
        statuses: Counter[int] = sum((one.statuses for one in callers), Counter())
        codes: Counter[int] = sum((one.codes for one in crowd.followers), Counter())
        self.figures |= {
            "messages": said.messages,
            "counts": {
                **{f"{kind}: times": times for kind, times in load.acted.items()},
                "cancelled in time": len(said.cancelled),
                "messages taken by vendors": len(self.vendors.taken),
                "posts of vendors' webhooks": reports.posts,
                "of them repeated": reports.replayed,
                "forged or stale ones, refused": reports.refused,
                "webhooks out, received": len(self.vendors.endpoint.ids),
                "lines written into conversations": len(self.left["written"]),
                "frames to sockets": sum(one.frames for one in crowd.followers),
                **{f"sockets closed with {code}": times for code, times in sorted(codes.items())},
            },
            "statuses": {str(code): times for code, times in sorted(statuses.items())},
            "seconds": {
                "answer to a message": percentiles(seconds for _, seconds in self._lags),
                "urgent, until its vendor has it": percentiles(iter(self._urgent.values())),
            },
            "faults": [asdict(one) for one in trouble.done],
            "samples": watch.samples,
        }

    def _account(self, env: Mapping[str, str]) -> None:
        path = self.world.directory / "left.json"
        path.write_text(json.dumps(self.left))
        words = [sys.executable, "-m", "tests.soak.accounts", str(path)]
        told = json.loads(self.world.output(words, env))
        self.figures |= {"findings": told["findings"], "states": told["states"]}
        self.figures["counts"]["runs of the schedule"] = told["runs"][0][0]
        self.figures["counts"] |= {f"findings of {kind}": n for kind, n in told["kinds"].items()}
        try:
            self.world.manage("audit", **env)
        except Failed as error:
            self.figures["wrong"].append(str(error))


def _followers(caller: Caller, known: Mapping[str, Any], seed: int) -> list[Follower]:
    return [
        Follower(
            caller,
            known["tokens"][number],
            known["rooms"][number // ROOM_SIZE],
            Random(seed + number),
        )
        for number in range(FOLLOWERS)
    ]


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


def _log(path: Path) -> list[tuple[str, str, int]]:
    """Process, what it said, how often."""
    found: Counter[tuple[str, str]] = Counter()
    for line in path.read_text(errors="replace").splitlines():
        process, _, text = line.partition("|")
        try:
            said = json.loads(text)
            words = f"{said['level']}: {said['event']} {said.get('error', '')}"
        except (ValueError, KeyError, TypeError):
            words = text.strip()
            if not words or text.startswith("  "):
                continue
        found[process.strip(), _ID.sub("#", words)[:160]] += 1
    return [(process, words, times) for (process, words), times in found.most_common(60)]


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and everything with it
    seed = SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = options.directory.absolute() / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}"
    sys.stderr.write(f"{options.minutes:g} minutes, --seed {seed}; the report goes to {folder}\n")
    with World(options.directory.absolute() / "servers") as world:
        known = machine() | world.versions | {"seed": str(seed)}
        figures = Soak(world, seed, options.minutes).run()
    figures["machine"] = known
    text = report.save(folder, figures)
    bad = verdict.wrong(figures)
    sys.stdout.write(f"{text}\nKept in {folder}.\n")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30)
    add("--seed", type=int, help="of the faults and of the load (default: a new one, printed)")
    add("--directory", type=Path, default=ROOT / ".data" / "soak", help="servers, logs, reports")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
