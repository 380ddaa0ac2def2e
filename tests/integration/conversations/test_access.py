"""Every call and every frame of conversations, made by those who may not: generated from the API's own
description and from the register of the socket, so that a new one is in it by itself.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from commsproject.common.errors import NotFound
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import new_id
from commsproject.common.live import registry
from commsproject.common.live.people import Kind, Person, Session
from commsproject.common.models import ApiClient
from conversations.live import ConversationFeed
from conversations.models import Conversation, Entry
from tests.integration.conversations.people import call, person, start, write

pytestmark = pytest.mark.django_db

SECRET = "only-for-members"
LATER = "2099-01-01T00:00:00Z"

OF_ALL = {"conversations_list", "conversations_start", "conversations_search"}
"""These name no conversation: what they give is the caller's own."""

MODERATORS = {
    *("conversations_change", "participants_add", "participants_role", "participants_remove"),
    *("entries_edit", "entries_delete"),
}
"""Where a member who is no more than that is refused."""

AGENTS = {"conversations_assign", "notes_list", "notes_write"}


def operations() -> list[tuple[str, str, str]]:
    """The id, method and path of each."""
    schema = SchemaGenerator().get_schema(public=True)
    return [
        (one["operationId"], method, path)
        for path, methods in schema["paths"].items()
        if path.startswith("/api/v1/conversations")
        for method, one in methods.items()
        if method != "parameters"
    ]


@pytest.fixture
def world() -> dict[str, str]:
    """A group with all there can be in one, and what paths and bodies name of it."""
    ada = person("ada")
    group = start(ada, "group", "bob", "ex", f"u-{SECRET}")
    call(ada, "patch", f"/{group['id']}", {"title": f"Title {SECRET}"})
    path = f"/api/v1/conversations/{group['id']}/attachments"
    file = SimpleUploadedFile(f"{SECRET}.txt", b"a text")
    attachment = ada.post(path, {"file": file}, format="multipart").json()
    entry = write(ada, group, f"Body {SECRET}", attachments=[attachment["id"]])
    call(ada, "delete", f"/{group['id']}/participants/ex", status=204)
    return {
        "conversation_id": group["id"],
        "entry_id": entry["id"],
        "attachment_id": attachment["id"],
        "user_id": f"u-{SECRET}",
    }


def body(operation: str, names: dict[str, str]) -> Any:
    """One that is right, so that nothing but access is refused."""
    known = {
        "conversations_start": {"kind": "group", "participants": ["x"]},
        "conversations_change": {"title": "x"},
        "conversations_read": {"seq": 1},
        "conversations_mute": {"until": LATER},
        "conversations_assign": {"assignee": None},
        "entries_write": {"body": "x"},
        "entries_edit": {"body": "x"},
        "notes_write": {"body": "x"},
        "participants_add": {"user_ids": ["x"]},
        "participants_role": {"role": "admin"},
        **{name: {"entry": names["entry_id"]} for name in ("pins_add", "pins_remove")},
        **{
            name: {"entry": names["entry_id"], "emoji": "👍"}
            for name in ("reactions_add", "reactions_remove")
        },
    }
    return known.get(operation)


def ask(client: APIClient, operation: str, method: str, path: str, names: dict[str, str]) -> Any:
    url = path.format(**names) + ("?q=only" if operation == "conversations_search" else "")
    if operation == "attachments_upload":
        return client.post(url, {"file": SimpleUploadedFile("x", b"x")}, format="multipart")
    return getattr(client, method)(url, body(operation, names), format="json")


def expected(operation: str, who: str) -> int:
    match who:
        case "anonymous":
            return 401
        case "agent without scopes":
            return 403
        case "member":
            return 403 if operation in MODERATORS | AGENTS else 0
    if operation in OF_ALL:
        return 0
    return 403 if operation in AGENTS and who != "other agent" else 404


def test_nobody_gets_what_is_not_theirs(world: dict[str, str], api: APIClient) -> None:
    _, secret = keys.issue(ApiClient.objects.create(name="other"), [Scope.TEMPLATES_READ])
    unscoped = APIClient()
    unscoped.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    callers = {
        "stranger": person("mallory"),
        "ex-participant": person("ex"),
        "other agent": api,
        "agent without scopes": unscoped,
        "anonymous": APIClient(),
        "member": person("bob"),
    }
    nowhere = {**world, "conversation_id": str(new_id())}
    found = operations()
    assert len(found) > 25
    assert {operation for operation, _, _ in found} >= MODERATORS | AGENTS | OF_ALL
    before = Conversation.objects.values().get(), set(Entry.objects.values_list("id", "body"))
    for operation, method, path in found:
        for who, client in callers.items():
            wanted = expected(operation, who)
            if who == "member" and not wanted:
                continue
            answer = ask(client, operation, method, path, world)
            where = (operation, who, answer.status_code)
            assert answer.status_code == wanted if wanted else answer.status_code < 300, where
            content = answer.getvalue() if answer.streaming else answer.content
            assert SECRET.encode() not in content, where
            if wanted == 404 and who == "stranger":  # not told apart from what there is not
                other = ask(client, operation, method, path, nowhere)
                assert (other.status_code, other.content) == (404, content), where
    Conversation.objects.exclude(id=world["conversation_id"]).delete()  # what they started
    assert (Conversation.objects.values().get(), set(Entry.objects.values_list("id", "body"))) == (
        before
    )


def test_no_frame_does_it_either(world: dict[str, str]) -> None:
    key = world["conversation_id"]
    ours = {
        name: command
        for name, command in registry.commands.items()
        if "conversation" in command.frame.properties
    }
    assert {"send", "read", "delivered"} <= ours.keys()
    last = Conversation.objects.get().last_seq
    for who in (Person(Kind.USER, "mallory"), Person(Kind.USER, "ex"), Person(Kind.STAFF, "1")):
        for name, command in ours.items():
            frame = {**command.frame.example, "conversation": key}
            with pytest.raises(NotFound) as refused:
                command.handle(Session("s", who), frame)
            assert SECRET not in str(refused.value.problem()), name
        wishes = [(who, key), (who, key.upper()), (who, "x"), (who, str(new_id()))]
        assert ConversationFeed().authorise(wishes) == {}
        for policy in registry.watch_policies:
            assert policy(who, ["ada", "bob"]) in ([], set())
    member = Person(Kind.USER, "bob")
    assert ConversationFeed().authorise([(member, key)]) == {(member, key): 0}
    assert Conversation.objects.get(id=UUID(key)).last_seq == last
    # What clients tell each other goes only where they follow: the dialogue asks.
    assert all(
        relay.feed == "conversations" for relay in registry.relays.values() if _is_ours(relay)
    )


def _is_ours(relay: registry.Relay) -> bool:
    return relay.field == "conversation"
