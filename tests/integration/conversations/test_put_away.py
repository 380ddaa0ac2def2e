"""Conversations that nobody has in use go after CONVERSATION_DAYS, with all that hangs on them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from commsproject.common.personal_data import retention
from conversations.jobs import remove_nobodys_files
from conversations.models import Attachment, Conversation, Entry, Participant
from conversations.services import retention as service
from tests.integration.conversations.people import V1, call, person, start, write

pytestmark = pytest.mark.django_db


def let_go(days: float) -> None:
    """What would go if it were so many days later."""
    now = timezone.now() + timedelta(days=days)
    while retention.run(60, now):
        pass


def left() -> set[str]:
    return {str(key) for key in Conversation.objects.values_list("id", flat=True)}


@pytest.fixture(autouse=True)
def on_disk(settings: Any, tmp_path: Path) -> Path:
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": storage}
    return tmp_path


def test_what_everybody_has_put_away_goes_and_no_open_case(settings: Any, on_disk: Path) -> None:
    settings.CONVERSATION_DAYS = 30
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    away, half, muted = (start(ada, "group", "bob", "eve") for _ in range(3))
    deserted = start(ada, "group", "bob")
    cases = {"open": start(ada, "support"), "pending": start(bob, "support")}
    cases["closed"] = start(eve, "support")
    for chat in (away, half, muted, deserted):
        write(ada, chat, "Hello")
    file = SimpleUploadedFile("a.txt", b"Dear Bob", "text/plain")
    sent = ada.post(f"{V1}/{away['id']}/attachments", {"file": file}, format="multipart").json()
    answer = write(bob, away, "A file", reply_to=None)
    call(ada, "post", f"/{away['id']}/reactions", {"entry": answer["id"], "emoji": "👍"})
    write(ada, away, "Here", attachments=[sent["id"]], mentions=["bob"], reply_to=answer["id"])
    for status, case in cases.items():
        Conversation.objects.filter(id=case["id"]).update(status=status)
    for one in (ada, bob, eve):
        for chat in (away, muted, *([] if one is eve else [half])):
            call(one, "post", f"/{chat['id']}/archive")
    Participant.objects.filter(conversation=deserted["id"]).update(left_at=timezone.now())
    everything = left()
    assert len(everything) == 7
    let_go(29)
    assert left() == everything
    # Muted by one, so it stays in that archive; what was written is new all the same.
    Participant.objects.filter(conversation=muted["id"]).update(muted_until=timezone.now())
    Conversation.objects.filter(id=muted["id"]).update(active_at=timezone.now() + timedelta(days=2))
    due = {one.why: one.rows for one in retention.due(timezone.now() + timedelta(days=31))}
    assert due["archived by everybody for CONVERSATION_DAYS"] == 2
    assert due["closed, and nothing written for CONVERSATION_DAYS"] == 1
    let_go(31)
    assert everything - left() == {away["id"], deserted["id"], cases["closed"]["id"]}
    remove_nobodys_files()
    assert not Attachment.objects.exists()
    assert not [path for path in on_disk.rglob("*") if path.is_file()]
    let_go(1000)
    assert everything - left() == {
        *(away["id"], deserted["id"], muted["id"]),
        cases["closed"]["id"],
    }


def test_a_long_one_goes_in_steps_and_stays_where_somebody_writes(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(service, "PAGE_ROWS", 3)
    ada, bob = person("ada"), person("bob")
    chat = start(ada, "direct", "bob")
    for number in range(8):
        write(ada, chat, f"Number {number}")
    for one in (ada, bob):
        call(one, "post", f"/{chat['id']}/archive")
    late = timezone.now() + timedelta(days=settings.CONVERSATION_DAYS + 1)
    _, archived = service.purges()
    before = Entry.objects.count()
    assert (archived.step(late).is_more, Entry.objects.count()) == (True, before - 3)
    write(bob, chat, "Still there?")
    assert not archived.step(timezone.now() + timedelta(days=1)).is_more
    Conversation.objects.update(active_at=late)
    assert not archived.step(late).is_more
    said = [entry["body"] for entry in call(ada, "get", f"/{chat['id']}/entries")["results"]]
    assert said[-3:] == ["Number 6", "Number 7", "Still there?"]
    assert "Number 1" not in said
    for one in (ada, bob):
        call(one, "post", f"/{chat['id']}/archive")
    let_go(2 * settings.CONVERSATION_DAYS + 3)
    assert not left()
    assert not Entry.objects.exists()
