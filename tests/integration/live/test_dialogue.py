"""What a client may say, and what it is told when it should not have."""

from __future__ import annotations

import json
import random

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from commsproject.common.live import limits
from commsproject.common.live.closes import Close
from commsproject.common.live.dialogue import client_frames
from tests.integration.live.conftest import Run
from tests.live_client import connected, user

BAD: list[tuple[str, str, str]] = [
    # text, code, field
    ("", "invalid", ""),
    ("{", "invalid", ""),
    ("[]", "invalid", "type"),
    ('{"type":5}', "invalid", "type"),
    ('{"type":"nothing"}', "invalid", "type"),
    ('{"type":"hello"}', "invalid", "type"),  # only we say that
    ('{"type":"ping","type":"ping"}', "invalid", ""),
    ('{"type":"ping","more":1}', "invalid", ""),
    ('{"type":"ping","id":5}', "invalid", "id"),
    ('{"type":"ping","id":""}', "invalid", "id"),
    ('{"type":"ping","id":"\\u0000"}', "invalid", ""),
    ('{"type":"ping","id":NaN}', "invalid", ""),
    ('{"type":"subscribe","rooms":["open"]}', "invalid", "rooms"),
    ('{"type":"subscribe","rooms":{"open":-1}}', "invalid", "rooms.open"),
    ('{"type":"subscribe","rooms":{"open":1e400}}', "invalid", ""),
    ('{"type":"subscribe","rooms":{"open":9007199254740992}}', "invalid", "rooms.open"),
    ('{"type":"subscribe","rooms":{"":1}}', "invalid", "rooms"),
    ('{"type":"subscribe","notes":"1"}', "invalid", "notes"),
    ('{"type":"subscribe","elsewhere":{}}', "invalid", ""),
    ('{"type":"unsubscribe","notes":1}', "invalid", "notes"),
    ('{"type":"say","room":"open"}', "invalid", ""),
    ('{"type":"say","room":"closed","client_id":"a","text":"x"}', "not_found", ""),
    ('{"type":"say","room":"open","client_id":"a","text":"forbidden"}', "invalid", "text"),
    ('{"type":"say","room":"open","client_id":"a","text":"defect"}', "internal", ""),
    ('{"type":"room.typing","room":"not-followed"}', "not_found", ""),
    ('{"type":"presence","state":"offline"}', "invalid", "state"),
    ('{"type":"presence","state":"active","looking_at":{"rooms":["open"]}}', "not_found", ""),
    ('{"type":"presence.watch","users":"u-1"}', "invalid", "users"),
    ('{"type":"ping","id":"' + "x" * 65_536 + '"}', "too_large", ""),
]


def test_a_bad_frame_is_answered_and_changes_nothing(live: Run, unhurried: None) -> None:
    async def story() -> None:
        async with connected() as client:
            for text, code, field in BAD:
                await client.send_text(text)
                answer = await client.frame()
                assert (answer["type"], answer["code"]) == ("error", code), text[:80]
                assert answer.get("errors", [{"field": ""}])[0]["field"] == field, text[:80]
            await client.send_bytes(b'{"type":"ping"}')
            assert (await client.frame())["code"] == "invalid"
            answer = await client.ask(
                type="say", room="closed", client_id="a", text="somebody@example.com"
            )
            assert answer == {
                "type": "error",
                "id": "ask",
                "code": "not_found",
                "title": "Not found",
                "detail": "There is no such room.",
            }
            assert await client.ask(type="ping") == {"type": "pong", "id": "ask"}

    live(story())


def test_an_error_never_repeats_what_was_sent(live: Run, unhurried: None) -> None:
    async def story() -> None:
        async with connected() as client:
            for text in (
                '{"type":"say","room":"open","client_id":"a","text":5,"secret":"canary"}',
                '{"type":"canary"}',
                '{"type":"presence","state":"canary"}',
                "canary",
            ):
                await client.send_text(text)
                assert "canary" not in json.dumps(await client.frame())

    live(story())


def test_commands_are_carried_out_in_order_and_acknowledged(live: Run) -> None:
    async def story() -> None:
        async with connected() as writer, connected(user("u-2")) as reader:
            await reader.ask(type="subscribe", rooms={"open": 0})
            for number in range(1, 11):
                await writer.send(
                    type="say", id=str(number), room="open", client_id=str(number), text=f"{number}"
                )
            for number in range(1, 11):
                assert await writer.frame() == {"type": "ack", "id": str(number), "seq": number}
                assert (await reader.frame("line"))["text"] == str(number)
            await writer.send(type="say", room="open", client_id="11", text="unasked")
            assert (await reader.frame())["seq"] == 11
            assert await writer.nothing(0.1)  # without an id there is no ack

    live(story())


def test_what_is_refused_is_told_without_an_id_too(live: Run) -> None:
    async def story() -> None:
        async with connected() as client:
            await client.send(type="subscribe", rooms={"closed": 0, "open": 0})
            assert await client.frame() == {
                "type": "refused",
                "frame": "subscribe",
                "refused": [{"feed": "rooms", "key": "closed"}],
            }
            await client.send(type="presence.watch", users=["private-2"])
            assert await client.frame() == {
                "type": "refused",
                "frame": "presence.watch",
                "refused": ["private-2"],
            }
            await client.send(type="subscribe", rooms={"open": 0})
            assert (await client.ask(type="ping"))["type"] == "pong"  # and nothing before it

    live(story())


def test_one_socket_follows_so_many_keys(live: Run) -> None:
    async def story() -> None:
        async with connected() as client:
            most = {f"open-{number}": None for number in range(limits.MOST_KEYS)}
            answer = await client.ask(type="subscribe", rooms=most)
            assert len(answer["heads"]["rooms"]) == limits.MOST_KEYS
            answer = await client.ask(type="subscribe", rooms={"open-more": 0})
            assert answer["code"] == "rate_limited"
            answer = await client.ask(type="subscribe", rooms={**most, "open-x": 0, "open-y": 0})
            assert answer["code"] == "invalid"
            await client.ask(type="unsubscribe", rooms=["open-1", "open-2"])
            assert (await client.ask(type="subscribe", rooms={"open-more": 0}))["type"] == "ack"

    live(story())


def test_who_sends_too_fast_is_refused_then_closed(live: Run) -> None:
    async def story() -> None:
        async with connected() as client:
            for _ in range(limits.FRAMES_AT_ONCE + 10):
                await client.send(type="ping")
            answers = [await client.frame() for _ in range(limits.FRAMES_AT_ONCE + 10)]
            assert {answer.get("code") for answer in answers} == {None, "rate_limited"}
            assert answers[0]["type"] == "pong"
            for _ in range(limits.FRAMES_AT_ONCE * 2):
                await client.send(type="ping")
            assert await client.close_code() == Close.FLOOD.code
        async with connected() as client:  # the next connection begins anew
            assert (await client.ask(type="ping"))["type"] == "pong"

    live(story())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


def mangled(text: str, seed: int) -> str:
    """A frame with something replaced, cut off or doubled."""
    chance = random.Random(seed)
    at = chance.randrange(len(text))
    piece = chance.choice(
        ["", '"', "{", "]", "\\", "\\u0000", "\ud7ff", "9" * 30, "null", text[:at]]
    )
    return text[:at] + piece + text[at + chance.randrange(4) :]


def test_nothing_a_client_sends_ends_its_socket(live: Run, unhurried: None) -> None:
    """Whatever comes: one answer for each, never `internal`, and the socket works on."""
    examples = [json.dumps(frame.example) for frame in client_frames().values()]
    names = [name for name in client_frames() if name != "ping"]
    fields = [name for frame in client_frames().values() for name in frame.properties]
    frame = st.builds(
        lambda name, rest: json.dumps({"type": name, "id": "x", **rest}),
        st.sampled_from(names),
        st.dictionaries(st.sampled_from(sorted(set(fields))), JSON, max_size=3),
    )
    broken = st.builds(mangled, st.sampled_from(examples), st.integers(0, 10**6))
    sent: list[str] = []

    @hypothesis_settings(max_examples=120, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(frame, broken, JSON.map(json.dumps), st.text(max_size=40)))
    def collect(text: str) -> None:
        sent.append(text)

    collect()

    async def story() -> None:
        async with connected() as client:
            for text in sent:
                await client.send_text(text)
                await client.send(type="ping", id="still there")
                while (answer := await client.frame()) != {"type": "pong", "id": "still there"}:
                    assert answer.get("code") != "internal", text

    live(story())
