"""The published description of the socket is that of the code: every example is really sent, or sent
to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import yaml
from django.test import Client as Browser

from commsproject.common.live import asyncapi, registry
from commsproject.common.live.closes import Close
from commsproject.common.live.dialogue import client_frames
from commsproject.common.live.frames import ClientFrame
from commsproject.common.outbox import catalogue
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user
from tests.live_feed import rooms

ROOT = Path(__file__).parents[3]
SPECIFICATION = ROOT / "tests" / "specifications" / "asyncapi-3.0.0.json"


async def heard(client: Client, found: dict[str, Any]) -> None:
    """The first frame of each type that comes, for ever."""
    while True:
        frame = await client.frame(*asyncapi.server_frames(), seconds=30)
        found.setdefault(frame["type"], frame)


def test_every_frame_is_as_it_is_described(live: Run) -> None:
    """Examples of clients are sent as they are; of ours one of each type comes, and is valid."""
    answers: dict[str, Any] = {}
    found: dict[str, Any] = {}

    async def story() -> None:
        await app(rooms.say, "open", *(["x"] * 3))
        async with connected() as speaker, connected(user("u-2")) as listener:
            found["hello"] = listener.hello
            await listener.send(type="presence.watch", users=["u-2"])
            await listener.ask(type="subscribe", rooms={"open": 9}, notes=0)
            await speaker.ask(type="subscribe", rooms={"open": 0})
            for name, frame in ours():
                example = {**frame.example, "id": name}
                if name == "room.typing":
                    example["room"] = "open"
                    typing = example
                await speaker.send(**example)
                answers[name] = await speaker.frame("ack", "pong", "error")
                if name == "unsubscribe":
                    await speaker.ask(type="subscribe", rooms={"open": 0})
            await app(rooms.say, "notes-u-2", "x", feed="notes")
            await listener.send(type="ping", id="1")
            await listener.send(type="nothing")
            await listener.send(type="subscribe", rooms={"closed": 0})
            hearing = asyncio.create_task(heard(listener, found))
            wanted = asyncapi.server_frames().keys() - apps_only()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    while not wanted <= found.keys():
                        await asyncio.sleep(0.5)
                        # Nobody repeats it for us, and on a busy machine the broker is late.
                        await speaker.send(**typing)
            hearing.cancel()
            assert wanted <= found.keys()

    live(story())
    for name, frame in asyncapi.server_frames().items():
        frame.check(frame.example)
        if name in found:
            frame.check(found[name])
    fields = asyncapi.answers()
    for name, answer in answers.items():
        assert answer["type"] == ("pong" if name == "ping" else "ack"), answer
        for field, schema in fields.get(name, {}).items():
            jsonschema.validate(answer[field], schema)
        assert answer.keys() <= {"type", "id", *fields.get(name, {})}


def ours() -> list[tuple[str, ClientFrame]]:
    """Of every client and of the feed of the tests; an app's own tests send the others."""
    apps = registry.commands.keys() | registry.relays.keys()
    return [
        (name, frame)
        for name, frame in client_frames().items()
        if name not in apps - {"say", "room.typing"}
    ]


def apps_only() -> set[str]:
    """Server frames of other apps. And `ack`, which the speaker gets."""
    feeds = [feed for name, feed in registry.feeds.items() if name not in ("rooms", "notes")]
    relays = [one for name, one in registry.relays.items() if name != "room.typing"]
    frames = [frame for feed in feeds for frame in (*feed.frames, *feed.passing)]
    return {frame.type for frame in (*frames, *(one.gives for one in relays))} | {"ack"}


def test_the_document(live: Run, settings: Any) -> None:
    settings.PUBLIC_URL = "https://comms.example.com"
    document = Browser().get("/api/asyncapi/").json()
    assert document["asyncapi"] == "3.0.0"
    assert document["servers"]["this"]["host"] == "comms.example.com"
    assert document["servers"]["this"]["protocol"] == "wss"
    messages = document["components"]["messages"]
    assert set(messages) == {
        *(f"client.{name}" for name in client_frames()),
        *(f"server.{name}" for name in asyncapi.server_frames()),
        *(f"event.{kind}" for kind in catalogue.KINDS),
    }
    specification = json.loads(SPECIFICATION.read_text())
    jsonschema_rs.Draft7Validator(specification).validate(document)
    for message in messages.values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
        for example in message["examples"]:
            jsonschema.validate(example["payload"], message["payload"])
        assert message["summary"]
    for ref in refs(document):
        part: Any = document
        for name in ref.removeprefix("#/").split("/"):
            part = part[name]
    for close in Close:
        assert f"| {close.code} |" in document["info"]["description"]
    answer = Browser().get("/api/asyncapi/?format=yaml")
    assert answer["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(answer.content) == document
    assert Browser().post("/api/asyncapi/").status_code == 405


def refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in refs(value)]
    return [ref for value in part for ref in refs(value)] if isinstance(part, list) else []


def test_the_page_names_every_frame_of_a_client() -> None:
    lines = (ROOT / "docs" / "api" / "WEBSOCKET.md").read_text().splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    apps = {"say", "room.typing"}  # of the tests' own feed
    assert named == client_frames().keys() - apps
