"""Support: a person and the team, and what is done to people's marks at the same moment."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from commsproject.common.errors import Conflict, InvalidInput, NotFound
from commsproject.common.personal_data.registry import Person, pseudonym
from conversations import access, links, selectors
from conversations.errors import NotAllowed
from conversations.models import Conversation, Mention, Participant
from conversations.services import entries, erase, marks, support
from conversations.services import start as start_
from conversations.types import Actor, Kind, Status, Who
from tests.integration.conversations.people import V1, call, person, start, write
from tests.processes import eventually

pytestmark = pytest.mark.django_db


def staff(name: str, **changes: Any) -> Actor:
    user = User.objects.create_user(name, is_staff=True, **changes)
    may = ["view_conversation", "change_conversation"]
    user.user_permissions.set(Permission.objects.filter(codename__in=may))
    return Actor(Who.STAFF, str(user.pk))


@pytest.fixture
def ada() -> APIClient:
    return person("ada")


def notes(chat: Any) -> list[tuple[str, list[str]]]:
    found = Conversation.objects.get(id=chat["id"]).entries.filter(kind="system")
    return [(one.event["type"], one.event["people"]) for one in found if one.event]


def test_the_team_takes_answers_and_closes_and_an_answer_opens_again(ada: APIClient) -> None:
    chat = start(ada, "support")
    id_ = UUID(chat["id"])
    one, two = staff("one"), staff("two")

    def queue(**wanted: Any) -> list[str]:
        return [str(row.id) for row in selectors.of_person(one, kind=Kind.SUPPORT, **wanted)]

    assert chat["status"] == "open"
    assert queue(status="open") == [chat["id"]]
    write(ada, chat, "Where is it?")
    assert access.fetch(one, id_).participant is None
    with pytest.raises(Conflict):
        marks.read(one, id_)  # it is all of theirs, and nobody's yet

    support.assign(one, id_, two.id)
    assert support.assign(one, id_, two.id).assignee_id == int(two.id)  # safe to repeat
    support.assign(two, id_, None)
    assert notes(chat) == [("assigned", [two.id]), ("assigned", [])]
    entries.post(one, id_, "On its way.")
    assert queue(status="pending") == [chat["id"]]
    seen = call(ada, "get", f"/{id_}")
    assert {(who["kind"], who["id"]) for who in seen["participants"]} == {
        ("user", "ada"),
        ("staff", one.id),
    }
    assert (seen["me"]["unread"], seen["latest"]["body"]) == (1, "On its way.")

    support.set_status(one, id_, Status.CLOSED)
    assert support.set_status(one, id_, Status.CLOSED).status == "closed"
    assert notes(chat)[2:] == [("status", [])]
    assert (queue(), queue(status="open")) == ([chat["id"]], [])
    write(ada, chat, "It never came.")
    assert queue(status="open") == [chat["id"]]
    assert marks.read(one, id_).read_seq == Conversation.objects.get(id=id_).last_seq


def test_what_the_team_may_not_and_others_may_not(ada: APIClient, api: APIClient) -> None:
    one, former = staff("one"), staff("former", is_active=False)
    chat, group = start(ada, "support"), start(ada, "group", "bob")
    for wrong in (former.id, "0", "²", "-1", "9" * 20, "one"):
        with pytest.raises(InvalidInput):
            support.assign(one, UUID(chat["id"]), wrong)
    with pytest.raises(NotFound):
        entries.post(one, UUID(group["id"]), "I am no part of it")
    with pytest.raises(NotAllowed):
        support.set_status(Actor(Who.USER, "ada"), UUID(chat["id"]), Status.CLOSED)
    call(ada, "patch", f"/{chat['id']}", {"status": "closed"}, 403)
    call(ada, "post", f"/{chat['id']}/assign", {"assignee": one.id}, 403)

    agents = start(api, "support", "ada")
    assert call(api, "patch", f"/{agents['id']}", {"status": "closed"})["status"] == "closed"
    assert call(api, "post", f"/{agents['id']}/assign", {"assignee": one.id})["assignee"] == one.id
    call(api, "post", f"/{agents['id']}/assign", {"assignee": "²"}, 400)
    mine = start(api, "group", "ada")
    with pytest.raises(Conflict):
        support.set_status(
            Actor(Who.AGENT, mine["participants"][0]["id"]), UUID(mine["id"]), Status.OPEN
        )


def test_who_is_erased_takes_no_name_of_others_with_them() -> None:
    one = staff("one")
    chat = start(person("left"), "support", one.id, title="left")
    id_ = UUID(chat["id"])
    support.assign(one, id_, one.id)
    start_.rename(one, id_, "The bill of left")
    for who in (one, Actor(Who.USER, one.id), Actor(Who.USER, "left")):
        entries.post(who, id_, "Hello", mentions=["left"] if who.id == one.id else ())
        start_.leave(who, id_)

    for user_id in ("left", one.id):
        place = ""
        while place := erase.entries(Person(user_id), place).after:
            pass
    found = Conversation.objects.get(id=id_).entries.order_by("seq")
    erased = [pseudonym(name) for name in (one.id, "left")]
    events = [row.event for row in found if row.event]
    assert [(event["type"], event["people"]) for event in events] == [
        ("assigned", [one.id]),
        ("renamed", []),
        ("left", [one.id]),
        ("left", [erased[0]]),
        ("left", [erased[1]]),
    ]
    assert events[1]["title"] == ""
    assert [row.mentions for row in found if not row.event] == [[], [], []]
    assert {(row.who, row.person_id) for row in found} == {
        ("staff", one.id),
        *(("user", name) for name in erased),
    }


def test_a_link_of_staff_is_theirs_who_are_signed_in(
    ada: APIClient, settings: Any, tmp_path: Any
) -> None:
    settings.STORAGES = settings.STORAGES | {
        "attachments": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }
    one, two = staff("one"), staff("two")
    chat = start(ada, "support")
    form = {"file": SimpleUploadedFile("bill.txt", b"a bill")}
    file = ada.post(f"{V1}/{chat['id']}/attachments", form, format="multipart").json()
    write(ada, chat, attachments=[file["id"]])
    link = reverse("file", args=[links.token(links.FileLink(one, UUID(file["id"])))])

    def opened(by: Actor | None) -> Any:
        browser = Client()
        if by is not None:
            browser.force_login(User.objects.get(pk=by.id))
        answer = browser.get(link)
        return answer.getvalue() if answer.status_code == 200 else b"404"

    assert [opened(by) for by in (one, two, None)] == [b"a bill", b"404", b"404"]
    User.objects.filter(pk=one.id).update(is_staff=False)
    assert opened(one) == b"404"


@pytest.mark.django_db(transaction=True)
def test_a_mention_is_read_while_its_entry_is_deleted() -> None:
    """The mark is held before the mentions by both, so that neither waits for the other for ever."""
    ada, chat = person("ada"), start(person("ada"), "group", "bob")
    entry = write(ada, chat, "@bob", mentions=["bob"])
    bob = Participant.objects.filter(person_id="bob")
    trouble: list[Exception] = []

    def delete() -> None:
        try:
            entries.delete(Actor(Who.USER, "ada"), UUID(chat["id"]), UUID(entry["id"]))
        except Exception as error:
            trouble.append(error)
        finally:
            connections.close_all()

    deleting = threading.Thread(target=delete)
    with transaction.atomic():
        bob.select_for_update(no_key=True).get()
        deleting.start()
        eventually(_somebody_waits)
        marks.read(Actor(Who.USER, "bob"), UUID(chat["id"]))
    deleting.join()
    assert trouble == []
    assert bob.get().mentions == 0
    assert not Mention.objects.exists()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        # A transaction goes on seeing the same connections.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])
