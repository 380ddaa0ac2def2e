"""What vendors report of the messages that they took: late, twice, out of order, and forged."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import defaultdict
from random import Random
from urllib.parse import urlsplit

from tests.fakes.sendgrid_events import Kind, event
from tests.fakes.twilio import SentSms
from tests.fakes.webhooks import WebhookPost
from tests.soak.caller import Caller
from tests.soak.vendors import Mail, Vendors

TURN = 0.5
PER_POST = 100
LATEST = 20.0
"""Seconds after which the last report of a message is on its way."""

REPLAYED, FORGED, STALE = 0.05, 0.02, 0.01
"""Shares of all posts."""

LINKS = 0.01
"""The share of mails whose reader will not have more of them."""


class Reports:
    """`told` has, by message, what the service has said 200 to."""

    def __init__(self, caller: Caller, vendors: Vendors, links: list[str], seed: int) -> None:
        self.told: dict[str, set[str]] = defaultdict(set)
        self.posts = self.replayed = self.refused = 0
        self._caller, self._vendors, self._links = caller, vendors, links
        self._random = Random(seed)
        self._due: list[tuple[float, int, Mail, Kind]] = []
        self._texts: list[tuple[float, int, SentSms, str]] = []
        self._order = itertools.count()

    async def go_on(self, stopping: asyncio.Event) -> None:
        """Until `stopping` and there is nothing left to report."""
        while not (stopping.is_set() and not self._waiting):
            self._plan()
            await asyncio.gather(self._mails(), self._sms())
            await asyncio.sleep(TURN)

    @property
    def _waiting(self) -> bool:
        return bool(self._due or self._texts or self._vendors.mails or self._vendors.texts)

    def _plan(self) -> None:
        now, random = time.monotonic(), self._random
        while self._vendors.mails:
            mail = self._vendors.mails.popleft()
            if mail.unsubscribe and random.random() < LINKS:
                self._links.append(mail.unsubscribe)
            for kind in self._story():
                at = now + random.uniform(0, LATEST) * random.random()
                heapq.heappush(self._due, (at, next(self._order), mail, kind))
        while self._vendors.texts:
            text = self._vendors.texts.popleft()
            end = "undelivered" if random.random() < 0.02 else "delivered"
            for status in ("sent", end):
                at = now + random.uniform(0, LATEST) * random.random()
                heapq.heappush(self._texts, (at, next(self._order), text, status))

    def _story(self) -> list[Kind]:
        lot = self._random.random()
        if lot < 0.015:
            return ["processed", "bounce"]
        if lot < 0.03:
            return ["deferred", "delivered"]
        if lot < 0.031:
            return ["delivered", "spamreport"]
        return ["delivered", "open"] if lot < 0.2 else ["delivered"]

    async def _mails(self) -> None:
        due: list[tuple[Mail, Kind]] = []
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, mail, kind = heapq.heappop(self._due)
            due.append((mail, kind))
        self._random.shuffle(due)
        for first in range(0, len(due), PER_POST):
            await self._post_mails(due[first : first + PER_POST])

    async def _post_mails(self, some: list[tuple[Mail, Kind]]) -> None:
        webhook, path = self._vendors.webhook, "/webhooks/sendgrid/"
        events = [event(mail.mail, kind) for mail, kind in some]
        lot = self._random.random()
        if lot < FORGED:
            await self._refused(path, webhook.post(*events, broken=True))
        elif lot < FORGED + STALE:
            await self._refused(path, webhook.post(*events, age=86_400))
        await self._post(path, webhook.post(*events))
        for mail, kind in some:
            self.told[mail.mail.custom_args["message_id"]].add(kind)

    async def _sms(self) -> None:
        """A call for each, as Twilio has it."""
        due: list[tuple[SentSms, str]] = []
        while self._texts and self._texts[0][0] <= time.monotonic():
            _, _, text, status = heapq.heappop(self._texts)
            due.append((text, status))
        await asyncio.gather(*(self._post_sms(text, status) for text, status in due))

    async def _post_sms(self, text: SentSms, status: str) -> None:
        url = urlsplit(text.fields["StatusCallback"])
        changes = {"ErrorCode": "30003"} if status == "undelivered" else {}
        post = self._vendors.twilio.callback(text, status, **changes)
        text.status = status
        await self._post(f"{url.path}?{url.query}", post)

    async def _post(self, path: str, post: WebhookPost) -> None:
        """Until it is taken, as vendors do."""
        times = 2 if self._random.random() < REPLAYED else 1
        for _ in range(times):
            await self._caller.ask("POST", path, data=post.body, headers=post.headers)
        self.posts += 1
        self.replayed += times - 1

    async def _refused(self, path: str, post: WebhookPost) -> None:
        await self._caller.ask(
            "POST", path, data=post.body, headers=post.headers, wanted=(400, 401, 403)
        )
        self.refused += 1
