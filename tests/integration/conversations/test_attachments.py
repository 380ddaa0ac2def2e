"""Files of all kinds: what is taken, what becomes of it, and who gets it."""

from __future__ import annotations

import io
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from socket import create_server
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image
from rest_framework.test import APIClient

from conversations.files import images, sniffing
from conversations.jobs import remove_nobodys_files
from conversations.models import Attachment
from conversations.services import attachments
from tests.integration.conversations.people import V1, call, person, read, start, write

pytestmark = pytest.mark.django_db

SECRET = b"GPS-59.91N-and-script-alert(1)"


@pytest.fixture(autouse=True)
def on_disk(settings: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": storage}
    return folder


@pytest.fixture
def ada() -> APIClient:
    return person("ada")


def upload(
    client: APIClient, chat: Any, content: bytes, name: str = "a.bin", status: int = 201
) -> Any:
    file = SimpleUploadedFile("x", content, "text/html")  # what it says of itself
    file.name = name
    answer = client.post(f"{V1}/{chat['id']}/attachments", {"file": file}, format="multipart")
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer.json()


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 40), **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **more)
    return file.getvalue()


def moving(frames: int) -> bytes:
    first, *rest = [Image.new("RGB", (20, 10), (n % 256, 0, 0)) for n in range(frames)]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=40)
    return file.getvalue()


def announced(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + body
        + struct.pack(">I", zlib.crc32(body))
    )


def archive(*names: str, size: int = 10) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(name, b"\0" * size)
    return file.getvalue()


def unbounded(content: bytes) -> bytes:
    """The archive's directory says that each part has 4 GB."""
    parts = content.split(b"PK\x01\x02")
    return b"PK\x01\x02".join(
        [parts[0], *(one[:20] + struct.pack("<I", 0xFFFFFFF0) + one[24:] for one in parts[1:])]
    )


WORD = ("[Content_Types].xml", "word/document.xml")
SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
)


def test_what_a_file_is_is_told_by_its_content(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    taken = {
        "Größe.html": (picture("JPEG"), "image/jpeg", "Größe.html.jpg"),
        "../../etc/passwd": (picture("PNG"), "image/png", "passwd.png"),
        "..\\..\\boot.ini": (b"plain text", "text/plain", "boot.ini.txt"),
        "table.CSV": (b"a;b\r\n1;2\r\n", "text/plain", "table.csv"),
        "moving.gif": (moving(3), "image/webp", "moving.webp"),
        "evil\u202egpj.exe": (b"%PDF-1.7\n...", "application/pdf", "evilgpj.exe.pdf"),
        "...": (archive(*WORD), office, "file.docx"),
        "x" * 300: (b"OggS....", "audio/ogg", "x" * 150 + ".ogg"),
    }
    for name, (content, media_type, kept) in taken.items():
        made = upload(ada, chat, content, name)
        assert (made["media_type"], made["name"]) == (media_type, kept)
    assert len(Attachment.objects.values_list("key", flat=True).distinct()) == len(taken)


def test_nothing_dangerous_is_taken(ada: APIClient, on_disk: Path) -> None:
    chat = start(ada, "direct", "bob")
    types = {
        "SVG": SVG,
        "SVG after a blank line": b"\n  " + SVG,
        "HTML": b"<html><script>alert(1)</script>",
        "an executable": b"\x7fELF" + b"\0" * 60,
        "a program for Windows": b"MZ" + b"\0" * 60,
        "a plain archive": archive("a.txt"),
        "a document with macros": archive(*WORD, "word/vbaProject.bin"),
        "a document that would be 8 GB": unbounded(archive(*WORD)),
        "a document with parts without number": archive(*WORD, *map(str, range(6_000))),
        "a broken archive": archive(*WORD)[:-30],
        "text in no encoding": b"caf\xe9 \xff",
        "text with control characters": b"a\x1b[2Jb",
        "UTF-16 markup": "<script>".encode("utf-16"),
        "Matroska": b"\x1a\x45\xdf\xa3" + b"matroska",
    }
    for name, content in types.items():
        assert upload(ada, chat, content, "holiday.png", 415)["code"] == "type_not_allowed", name
    broken = {
        "30,000 x 30,000 pixels": announced(30_000, 30_000),
        "pixels that are not there": announced(10, 10),
        "a JPEG cut off": picture("JPEG", (400, 400))[:300],
        "a GIF with frames without number": moving(images.MAX_FRAMES + 1),
        "a picture that is a page": b"GIF89a/*<script>alert(1)</script>*/",
    }
    for name, content in broken.items():
        problem = upload(ada, chat, content, "holiday.png", 400)
        assert problem["errors"][0]["code"] == "not_a_picture", name
    upload(ada, chat, b"", status=400)
    assert not Attachment.objects.exists()
    assert not on_disk.exists()


def test_a_picture_is_its_pixels_and_nothing_else(ada: APIClient, on_disk: Path) -> None:
    chat = start(ada, "direct", "bob")
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()  # its description
    exif[0x0112] = 6  # lies on its side
    for kind in ("JPEG", "PNG", "WEBP"):
        hidden = picture(kind, (60, 40), exif=exif) + b"<script>" + SECRET + archive("x")
        made = upload(ada, chat, hidden)
        assert (made["width"], made["height"]) == (40, 60)
    stored = [path for path in on_disk.rglob("*") if path.is_file()]
    assert len(stored) == 6  # each with a small one
    for path in stored:
        assert SECRET not in path.read_bytes()
        with Image.open(path) as kept:
            assert max(kept.size) <= 60
            assert not kept.getexif()


def test_a_file_is_its_writers_until_it_is_written_then_everybodys(ada: APIClient) -> None:
    bob, eve, chat = person("bob"), person("eve"), start(ada, "direct", "bob")
    file = upload(ada, chat, picture(), "oslo.png")
    path = f"/{chat['id']}/attachments/{file['id']}"
    call(bob, "get", path, status=404)
    call(bob, "post", f"/{chat['id']}/entries", {"attachments": [file["id"]]}, 400)
    other = start(ada, "direct", "eve")
    call(ada, "get", f"/{other['id']}/attachments/{file['id']}", status=404)
    call(ada, "post", f"/{other['id']}/entries", {"attachments": [file["id"]]}, 400)

    entry = write(ada, chat, "", attachments=[file["id"]])
    assert read(bob, chat)["results"][0]["attachments"] == entry["attachments"] == [file]
    call(ada, "post", f"/{chat['id']}/entries", {"attachments": [file["id"]]}, 400)  # once
    call(eve, "get", path, status=404)
    links = call(bob, "get", path)
    for name, kind in (("url", "image/png"), ("thumbnail_url", "image/webp")):
        answer = fetch(links[name])
        assert (answer.status_code, answer["Content-Type"]) == (200, kind)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"] == 'inline; filename="oslo.png"'
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        Image.open(io.BytesIO(answer.getvalue())).verify()
    call(ada, "delete", f"/{chat['id']}/entries/{entry['id']}", status=204)
    call(bob, "get", path, status=404)
    assert fetch(links["url"]).status_code == 404


def fetch(url: str) -> Any:
    """As a browser without any key."""
    return Client().get(urlsplit(url).path)


def test_a_link_is_one_persons_for_five_minutes(ada: APIClient) -> None:
    group = start(ada, "group", "bob")
    file = upload(ada, group, b"a list of things", "list.txt")
    write(ada, group, "see", attachments=[file["id"]])
    bobs = call(person("bob"), "get", f"/{group['id']}/attachments/{file['id']}")["url"]
    answer = fetch(bobs)
    assert answer.getvalue() == b"a list of things"
    assert answer["Content-Disposition"] == 'attachment; filename="list.txt"'
    assert fetch(bobs[:-1] + ("x" if bobs[-1] != "x" else "y")).status_code == 404
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=2)):
        assert fetch(bobs).status_code == 404
    call(ada, "delete", f"/{group['id']}/participants/bob", status=204)
    assert fetch(bobs).status_code == 404


def test_sizes_and_numbers_are_capped(ada: APIClient, settings: Any) -> None:
    chat = start(ada, "direct", "bob")
    settings.ATTACHMENT_MAX_SIZE = 1000
    upload(ada, chat, b"x" * 1000)
    upload(ada, chat, b"x" * 1001, status=400)
    upload(ada, chat, b"x" * 200_000, status=413)
    for body in ({}, {"file": "text"}, {"other": SimpleUploadedFile("x", b"x")}):
        answer = ada.post(f"{V1}/{chat['id']}/attachments", body, format="multipart")
        assert answer.status_code == 400
    call(ada, "post", f"/{chat['id']}/attachments", {}, 415)  # JSON
    ids = [upload(ada, chat, b"x")["id"] for _ in range(11)]
    call(ada, "post", f"/{chat['id']}/entries", {"attachments": ids}, 400)
    write(ada, chat, attachments=ids[:10])


def test_files_that_were_never_written_with_give_way(
    ada: APIClient, on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = start(ada, "direct", "bob")
    ids = [upload(ada, chat, b"x")["id"] for _ in range(attachments.MOST_DRAFTS + 3)]
    entry = write(ada, chat, attachments=ids[-10:])
    assert [one["id"] for one in entry["attachments"]] == ids[-10:]
    for gone in ids[:3]:
        call(ada, "post", f"/{chat['id']}/entries", {"attachments": [gone]}, 400)
    write(ada, chat, attachments=[ids[3]])

    monkeypatch.setattr(attachments, "MOST_WITHOUT_ENTRY", 12)  # 9 drafts, 3 that gave way
    assert upload(ada, chat, b"x", status=503)["code"] == "unavailable"
    remove_nobodys_files()
    upload(ada, chat, b"x")
    assert len([path for path in on_disk.rglob("*") if path.is_file()]) == 21


def test_what_nobody_has_is_removed(ada: APIClient, on_disk: Path) -> None:
    chat = start(ada, "direct", "bob")
    kept, deleted, draft = (upload(ada, chat, picture()) for _ in range(3))
    write(ada, chat, attachments=[kept["id"]])
    gone = write(ada, chat, attachments=[deleted["id"]])
    call(ada, "delete", f"/{chat['id']}/entries/{gone['id']}", status=204)
    remove_nobodys_files()
    assert {str(one.id) for one in Attachment.objects.all()} == {kept["id"], draft["id"]}
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        remove_nobodys_files()
    assert {str(one.id) for one in Attachment.objects.all()} == {kept["id"]}
    assert len([path for path in on_disk.rglob("*") if path.is_file()]) == 2


@contextmanager
def scanner(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """ClamAV's daemon as it is heard on the wire: what it was sent, and what it says to it."""
    heard: list[bytes] = []

    def serve() -> None:
        line, _ = listener.accept()
        with line, line.makefile("rb") as stream:
            heard.append(stream.read(10))
            while size := int.from_bytes(stream.read(4)):
                heard.append(stream.read(size))
            line.sendall(answer)

    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", heard
        thread.join(10)


def test_files_are_scanned_where_there_is_a_scanner(ada: APIClient, settings: Any) -> None:
    chat, text = start(ada, "direct", "bob"), b"a text " * 20_000
    with scanner(b"stream: OK\0") as (settings.CLAMD_URL, heard):
        upload(ada, chat, text)
    assert (heard[0], b"".join(heard[1:])) == (b"zINSTREAM\0", text)
    with scanner(b"stream: Eicar-Test-Signature FOUND\0") as (settings.CLAMD_URL, _):
        assert upload(ada, chat, text, status=400)["errors"][0]["code"] == "infected"
    for answer in (b"INSTREAM size limit exceeded. ERROR\0", b""):
        with scanner(answer) as (settings.CLAMD_URL, _):
            upload(ada, chat, text, status=503)
    upload(ada, chat, text, status=503)  # there is none at all
    assert Attachment.objects.count() == 1


def test_every_type_that_is_known_has_a_name() -> None:
    assert set(sniffing._SIGNATURES) | set(sniffing._DOCUMENTS.values()) <= set(sniffing.SUFFIXES)
