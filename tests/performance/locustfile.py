"""Load from many simulated clients, with Locust: agents, uploads, people at their inbox, staff.

Who has no credentials in the environment stays away: API_KEY (agents and uploads), USER_TOKEN (the
person), STAFF_PASSWORD (of STAFF_USER, `admin` unless told). docs/subsystems/performance.md shows how
to run it.
"""

from __future__ import annotations

import json
import os
import random
import re
from itertools import count
from typing import ClassVar
from urllib.parse import urlencode
from uuid import uuid4

from locust import HttpUser, between, constant_pacing, task

API = "/api/v1"
KEY, TOKEN = os.environ.get("API_KEY", ""), os.environ.get("USER_TOKEN", "")
STAFF, PASSWORD = os.environ.get("STAFF_USER", "admin"), os.environ.get("STAFF_PASSWORD", "")
ADDRESSES = 10_000

ROWS = 500
"""Of an upload."""

CONTENT = {"subject": "Order {{ number }}", "text": "Hello {{ name }}, it is on its way."}
PAGES = ("", "notifications/notification/", "notifications/batch/", "notifications/recipient/")


def address() -> str:
    """Where the simulator takes everything."""
    return f"locust-{random.randrange(ADDRESSES)}@simulator.test"


class Agent(HttpUser):
    """Sends single messages, one in ten urgent, and looks what became of some."""

    weight = 20 if KEY else 0
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        self.client.headers["Authorization"] = f"Bearer {KEY}"
        self._last = ""

    @task(10)
    def submit(self) -> None:
        body = {
            "to": {"email": address()},
            "content": CONTENT,
            "data": {"name": "Ada", "number": "A-1"},
            "priority": "urgent" if random.random() < 0.1 else "normal",
        }
        headers = {"Idempotency-Key": uuid4().hex}
        with self.client.post(
            f"{API}/notifications", json=body, headers=headers, catch_response=True
        ) as answer:
            if answer.status_code == 202:
                self._last = answer.json()["id"]

    @task(2)
    def look(self) -> None:
        if self._last:
            self.client.get(f"{API}/notifications/{self._last}", name=f"{API}/notifications/{{id}}")

    @task(1)
    def page(self) -> None:
        self.client.get(f"{API}/notifications?limit=50", name=f"{API}/notifications")


class Uploader(HttpUser):
    """A batch of 500 rows every ten seconds, as NDJSON, and how it gets on."""

    weight = 1 if KEY else 0
    wait_time = constant_pacing(10)
    _numbers: ClassVar = count()

    def on_start(self) -> None:
        self.client.headers["Authorization"] = f"Bearer {KEY}"

    @task
    def upload(self) -> None:
        first = next(self._numbers) * ROWS
        rows = (
            {"to": {"email": address()}, "data": {"name": "Ada", "number": f"B-{number}"}}
            for number in range(first, first + ROWS)
        )
        body = "\n".join(map(json.dumps, rows))
        asked = urlencode({"content": json.dumps(CONTENT)})
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid4().hex}
        name = f"{API}/batches ({ROWS} rows)"
        answer = self.client.post(f"{API}/batches?{asked}", body, headers=headers, name=name)
        if answer.status_code == 202:
            self.client.get(f"{API}/batches/{answer.json()['id']}", name=f"{API}/batches/{{id}}")


class Reader(HttpUser):
    """Opens the inbox, reads, and gets a ticket for the socket."""

    weight = 10 if TOKEN else 0
    wait_time = between(1, 5)

    def on_start(self) -> None:
        self.client.headers["Authorization"] = f"Bearer {TOKEN}"
        self.client.post(f"{API}/ws-ticket")

    @task(5)
    def feed(self) -> None:
        self.client.get(f"{API}/inbox?limit=20", name=f"{API}/inbox")

    @task(3)
    def counts(self) -> None:
        self.client.get(f"{API}/inbox/counts")

    @task(1)
    def read(self) -> None:
        self.client.post(f"{API}/inbox/read", json={"all": True})


class Staff(HttpUser):
    """Signs in and goes from list to list of the console."""

    weight = 2 if PASSWORD else 0
    wait_time = between(2, 8)

    def on_start(self) -> None:
        form = self.client.get("/admin/login/").text
        found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form)
        fields = {
            "username": STAFF,
            "password": PASSWORD,
            "next": "/admin/",
            "csrfmiddlewaretoken": found[1] if found else "",
        }
        self.client.post("/admin/login/", fields)

    @task
    def list_page(self) -> None:
        self.client.get(f"/admin/{random.choice(PAGES)}")
