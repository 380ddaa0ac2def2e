"""Which opens and clicks are no person's. Pure.

Only what is known for certain enough: a person taken for a machine is lost, a machine taken for a person
is a number too high. Addresses are not looked at: Apple's images come through proxies of
many hosters, whose ranges change.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

APPLE = "apple mail privacy"
"""Apple Mail loads all images as it receives them, by proxies that say `Mozilla/5.0` and no more.
https://help.socketlabs.com/docs/identifying-apple-mpp-opens-in-notification-api-events
"""

_PROGRAMS = re.compile(
    r"bot\b|crawler|spider|scan|preview|headless|barracuda|mimecast|proofpoint|symantec|trendmicro"
    r"|curl/|wget/|python-|go-http-client|java/|okhttp|libwww|axios|node-fetch",
    re.IGNORECASE,
)
"""Scanners, previews of chats, programs. Not Gmail's and Yahoo's image proxies: those load an image
when the person opens the message."""

SOON = timedelta(seconds=2)
"""After its provider took it, an email has not even been delivered to anybody."""

TOGETHER = timedelta(seconds=3)
"""Who follows two links of a message within this time has not read what they lead to."""


def by_request(method: str, headers: Mapping[str, str]) -> str:
    """What in a request shows that a machine made it; empty where nothing does."""
    agent = headers.get("User-Agent", "").strip()
    if method != "GET":
        return f"{method.lower()} request"
    if "prefetch" in (headers.get("Sec-Purpose", "") + headers.get("Purpose", "")).lower():
        return "prefetch"
    if not agent:
        return "no user agent"
    if agent == "Mozilla/5.0":
        return APPLE
    return "program" if _PROGRAMS.search(agent) else ""


class Seen(Protocol):
    """An open (no `url`) or a click."""

    @property
    def id(self) -> UUID: ...
    @property
    def attempt_id(self) -> UUID: ...
    @property
    def url(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def at(self) -> datetime: ...


def by_time(seen: Iterable[Seen], sent: Mapping[UUID, datetime]) -> dict[UUID, str]:
    """What shows of each, by its id, that a machine did it. `sent` is when the provider took the
    message of an attempt.
    """
    found: dict[UUID, str] = {}
    of_attempt: dict[UUID, list[Seen]] = defaultdict(list)
    for one in seen:
        of_attempt[one.attempt_id].append(one)
    for attempt_id, hits in of_attempt.items():
        for one in hits:
            found[one.id] = one.machine or _by_time(one, hits, sent.get(attempt_id))
    return found


def _by_time(one: Seen, hits: Sequence[Seen], sent_at: datetime | None) -> str:
    if sent_at is not None and one.at - sent_at < SOON:
        return "too soon"
    others = (other for other in hits if other.url and other.url != one.url)
    if one.url and any(abs(other.at - one.at) < TOGETHER for other in others):
        return "many links at once"
    return ""
