"""The processes that make pictures anew: bounded, and what they die of is nobody else's."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from tempfile import TemporaryFile
from typing import Any

import pytest
from PIL import Image
from structlog.testing import capture_logs

from conversations.files import image_process, images
from tests.integration.conversations.people import person, start
from tests.integration.conversations.test_attachments import picture, upload

pytestmark = pytest.mark.django_db

Children = LifoQueue[image_process._Child | None]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    """Their places, in each of which nobody is yet."""
    found = image_process.places()
    monkeypatch.setattr(image_process, "_places", found)
    yield found
    assert found.qsize() == image_process.AT_ONCE
    for child in found.queue:
        if child is not None:
            child.end()


@pytest.fixture
def chat() -> Any:
    return start(person("ada"), "direct", "bob")


def remade(content: bytes) -> images.Picture:
    with TemporaryFile() as into:
        return image_process.remake(io.BytesIO(content), into)


def idle(children: Children) -> image_process._Child:
    (child,) = (one for one in children.queue if one is not None)
    return child


def pid(child: image_process._Child) -> int:
    return child._process.pid


def is_refused(chat: Any, content: bytes) -> bool:
    problem = upload(person("ada"), chat, content, status=400)
    return bool(problem["errors"][0]["code"] == "not_a_picture")


def is_taken(chat: Any) -> bool:
    return bool(upload(person("ada"), chat, picture())["media_type"] == "image/png")


def test_decoders_run_elsewhere_and_know_nothing(
    children: Children, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("in the web process")

    monkeypatch.setattr(images, "remake", never)
    monkeypatch.setenv("SECRET_KEY", "canary")
    assert is_taken(chat)
    child = idle(children)
    place = Path(f"/proc/{pid(child)}")
    assert (place / "environ").read_bytes() == b""
    lines = (place / "limits").read_text().splitlines()
    bounds = {line[:26].strip(): line[26:46].strip() for line in lines}
    assert bounds["Max address space"] == str(image_process.MEMORY)
    assert 0 < int(bounds["Max cpu time"]) <= image_process.CPU_SECONDS + 5
    opened = [str(one.readlink()) for one in (place / "fd").iterdir()]
    assert sum(one.startswith("socket:") for one in opened) == 1, "no database, no broker"
    for _ in range(3):
        assert is_taken(chat)
    assert idle(children) is child


def test_what_takes_too_much_memory_is_refused(
    children: Children, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_process, "MEMORY", 128 * 1024 * 1024)
    small, large = picture(), picture("PNG", (5000, 5000))
    assert len(large) < 1_000_000
    assert is_refused(chat, large)
    assert is_taken(chat)
    monkeypatch.setattr(image_process, "MEMORY", 768 * 1024 * 1024)
    idle(children).end()
    assert (remade(large).width, remade(small).width) == (5000, 60), "it was the bound"


def test_what_takes_too_much_time_is_the_end_of_its_process(
    children: Children, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_process, "CPU_SECONDS", 1)
    noise = io.BytesIO()
    Image.effect_noise((4000, 4000), 60).save(noise, "PNG", compress_level=0)
    with capture_logs() as logs:
        assert is_refused(chat, noise.getvalue())
    (line,) = (one for one in logs if one["event"] == "picture process died")
    assert line["code"] == -signal.SIGXCPU
    assert is_taken(chat)


def test_one_that_hangs_is_not_waited_for(
    children: Children, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_taken(chat)
    monkeypatch.setattr(image_process, "WAIT_SECONDS", 0.3)
    hanging = idle(children)
    os.kill(pid(hanging), signal.SIGSTOP)
    assert is_refused(chat, picture())
    assert not hanging.is_alive()
    monkeypatch.setattr(image_process, "WAIT_SECONDS", 60.0)
    assert is_taken(chat)


def test_one_that_was_killed_while_it_had_nothing_to_do_is_not_missed(
    children: Children, chat: Any
) -> None:
    assert is_taken(chat)
    first = idle(children)
    os.kill(pid(first), signal.SIGTERM)  # as the web process gets it, which ends what it has begun
    assert is_taken(chat)
    assert idle(children) is first
    os.kill(pid(first), signal.SIGKILL)
    first._process.wait()
    assert is_taken(chat)
    assert pid(idle(children)) != pid(first)


def test_where_none_can_be_started_the_upload_may_come_again(
    children: Children, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(image_process, "PROGRAM", "this")  # which says something else, and ends
        assert upload(person("ada"), chat, picture(), status=503)["code"] == "unavailable"
        broken.setattr(image_process, "sys", type("", (), {"executable": "/nowhere/python"}))
        assert upload(person("ada"), chat, picture(), status=503)["code"] == "unavailable"
    assert is_taken(chat)


def test_where_all_are_busy_for_long_the_upload_may_come_again(
    chat: Any, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [children.get() for _ in range(image_process.AT_ONCE)]
    with monkeypatch.context() as hurried:
        hurried.setattr(image_process, "WAIT_SECONDS", 0.2)
        assert upload(person("ada"), chat, picture(), status=503)["code"] == "unavailable"
    for one in busy:
        children.put(one)
    assert is_taken(chat)


def test_a_process_makes_so_many(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_process, "PICTURES", 3)
    for number in range(6):
        remade(picture())
        assert all(one is None for one in children.queue) == (number % 3 == 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null\n",
        b"{}\n",
        b"[1]\n",
        b"\xff\n",
        b'{"thumbnail": "", "media_type": "text/html", "width": 1, "height": 1}\n',
        b'{"thumbnail": "", "media_type": "image/png", "width": 0, "height": 1}\n',
        b'{"thumbnail": "", "media_type": "image/png", "width": 9999999, "height": 9999999}\n',
        b'{"thumbnail": "x", "media_type": "image/png", "width": 1, "height": 1}\n',
    ],
)
def test_its_word_is_not_taken(answer: bytes) -> None:
    with pytest.raises(images.NotAPicture):
        image_process._read(answer)


def test_so_many_are_made_at_once(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    working: list[int] = []
    most = 0
    lock = threading.Lock()
    answer = image_process._Child.answer

    def counted(self: image_process._Child, *files: Any) -> bytes:
        nonlocal most
        with lock:
            working.append(pid(self))
            most = max(most, len(working))
        try:
            return answer(self, *files)
        finally:
            working.remove(pid(self))

    monkeypatch.setattr(image_process._Child, "answer", counted)
    content = picture("JPEG", (1500, 1500))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(remade, [content] * 24))
    assert {one.width for one in found} == {1500}
    assert most == image_process.AT_ONCE
