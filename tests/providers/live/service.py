"""A running service that vendors reach: what it sends, and what it hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from notifications.types import Channel
from tests.providers.live.cases import PARTS, Case

PAUSE = 2.0
OPEN = frozenset({"scheduled", "queued", "sending", "unknown", "sent"})
"""States that a receipt may still change."""

Ask = Callable[[str, str, Mapping[str, Any] | None], Any]
"""Method, path below /api/v1 and body, to the answer's JSON."""

TO = {Channel.EMAIL: "email", Channel.SMS: "phone"}


def at(public_url: str, key: str) -> Ask:
    def ask(method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        url = f"{public_url.rstrip('/')}/api/v1/{path}"
        login = {"Authorization": f"Bearer {key}"}
        answer = requests.request(method, url, json=body, headers=login, timeout=30)
        answer.raise_for_status()
        return answer.json()

    return ask


def result(ask: Ask, case: Case, seconds: float) -> tuple[str, str]:
    """Status and provider of the case's message, sent by the service, once it is at an end."""
    message = {"to": {TO[case.channel]: case.address}, "content": PARTS[case.channel]}
    made = ask("POST", "notifications", message)
    end = time.monotonic() + seconds
    while True:
        (delivery,) = ask("GET", f"notifications/{made['id']}", None)["deliveries"]
        if delivery["status"] not in OPEN or time.monotonic() > end:
            return delivery["status"], delivery["provider"]
        time.sleep(PAUSE)
