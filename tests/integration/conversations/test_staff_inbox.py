"""The staff inbox by its addresses: what the team does, what they may, and what nobody else gets."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.errors import CommsError
from commsproject.common.ids import new_id
from commsproject.common.live.people import Kind as PersonKind
from commsproject.common.live.people import Person, Session
from commsproject.common.models import AuditEvent
from commsproject.common.personal_data.registry import Person as Subject
from commsproject.console.inbox import search
from conversations import live, reply_to, selectors
from conversations.errors import NotAllowed
from conversations.models import Conversation, Entry, Note, Notice, Participant, Reminder
from conversations.personal_data import HOLDER
from conversations.services import answers, entries, erase, marks, notes, reminders, support, team
from conversations.types import Actor, Kind, Medium, Status, Who
from notifications.models import Address, Notification, Recipient, SimulatedMessage
from notifications.services import suppress
from notifications.services.recipients import add_address
from notifications.types import Channel, Inbound, SuppressionReason
from templates_app import services as authors
from templates_app.models import Kind as TemplateKind
from tests.engine import drain
from tests.integration.conversations.people import call, person, start, write
from tracking.models import InboundMessage
from tracking.services import inbound

pytestmark = pytest.mark.django_db

SECRET = "between-us-only"
SUPPORT = "help@example.com"


def talk(kind: Kind = Kind.SUPPORT, user_id: str = "ada", body: str = "Hello?") -> Conversation:
    status = Status.OPEN if kind is Kind.SUPPORT else ""
    made = Conversation.objects.create(kind=kind, status=status)
    Participant.objects.create(conversation=made, person_id=user_id)
    entries.post(Actor(Who.USER, user_id), made.id, body)
    made.refresh_from_db()
    return made


def many(number: int) -> list[Conversation]:
    made = [
        Conversation(kind=Kind.SUPPORT, status=Status.OPEN, last_seq=1, entries_made=1)
        for _ in range(number)
    ]
    Conversation.objects.bulk_create(made)
    Participant.objects.bulk_create(
        Participant(conversation=one, person_id=f"u-{one.pk}") for one in made
    )
    Entry.objects.bulk_create(
        Entry(conversation=one, seq=1, changed_seq=1, number=1, who=Who.USER, body="Hello?")
        for one in made
    )
    return made


class Staff:
    """Somebody of the team at the page."""

    def __init__(self, name: str, *permissions: str) -> None:
        self.user = User.objects.create_user(name, password="x", is_staff=True)
        self.user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        self.actor = Actor(Who.STAFF, str(self.user.pk))
        self.client = Client()
        self.client.force_login(self.user)

    def get(self, row: Conversation, what: str, status: int = 200, **query: Any) -> Any:
        where = reverse(f"conversations_conversation_{what}", args=[row.pk])
        answer = self.client.get(where, query)
        assert answer.status_code == status, answer.content
        return answer.json() if status == 200 else None

    def act(self, row: Conversation, what: str, body: Any, status: int = 200) -> Any:
        where = reverse(f"conversations_conversation_{what}", args=[row.pk])
        raw = body if isinstance(body, str) else json.dumps(body)
        answer = self.client.post(where, raw, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json() if answer["Content-Type"].endswith("json") else None

    def reply(self, row: Conversation, body: str, status: int = 200, **more: Any) -> Any:
        asked = {"body": body, "medium": "chat", "client_id": str(new_id()), **more}
        return self.act(row, "reply", asked, status)

    def rows(self, status: int = 200, **query: Any) -> Any:
        answer = self.client.get(reverse("staff-inbox-rows"), query)
        assert answer.status_code == status, answer.content
        return answer.json()

    def ids(self, **query: Any) -> list[str]:
        return [row["id"] for row in self.rows(**query)["results"]]


@pytest.fixture
def grace() -> Staff:
    return Staff(
        *("grace", "view_conversation", "change_conversation"),
        *("view_recipient", "view_notification"),
    )


def test_the_team_takes_answers_notes_and_closes(grace: Staff) -> None:
    row, other = talk(), Staff("alan", "view_conversation", "change_conversation")
    page = grace.client.get(reverse("staff-inbox-of", args=[row.pk]))
    assert json.loads(page.context["options"])["mayAnswer"]
    assert grace.ids(queue="unassigned") == grace.ids(queue="open") == [str(row.pk)]

    mine = {"assignee": grace.actor.id, "seen": None}
    assert grace.act(row, "assign", mine)["assignee"]["name"] == "grace"
    assert (grace.ids(queue="mine"), other.ids(queue="mine")) == ([str(row.pk)], [])
    client_id = str(new_id())
    first = grace.reply(row, "Have you tried **again**?", client_id=client_id)
    assert grace.reply(row, "Have you tried **again**?", client_id=client_id)["id"] == first["id"]
    note = grace.act(row, "note", {"body": "Third time this week.", "client_id": client_id})
    assert grace.act(row, "note", {"body": "x", "client_id": client_id}) == note
    found = other.get(row, "thread")
    assert [one["body"] for one in found["entries"] if one["kind"] == "text"][-1] == first["body"]
    assert [one["id"] for one in found["notes"]] == [note["id"]]
    assert found["names"] == {"user:ada": "ada", f"staff:{grace.actor.id}": "grace"}
    assert found["conversation"]["status"] == "pending"

    assert other.act(row, "status", {"status": "closed"})["status"] == "closed"
    assert (grace.ids(queue="open"), grace.ids(queue="closed")) == ([], [str(row.pk)])
    entries.post(Actor(Who.USER, "ada"), row.pk, "It still does not work.")
    assert grace.rows(ids=str(row.pk))["results"][0]["status"] == "open"  # it opens again
    grace.act(row, "edit", {"entry": first["id"], "body": "Sorry."})
    grace.act(row, "remove", {"entry": first["id"]})
    assert Entry.objects.get(pk=first["id"]).deleted_at is not None

    told = AuditEvent.objects.order_by("id").values_list("actor", "action", "object_id")
    acts = [(who, what) for who, what, which in told if which == str(row.pk)]
    expected = ["assign", "reply", "reply", "note", "status", "edit", "remove"]
    assert [what for _, what in acts] == expected
    assert [who for who, what in acts if what == "status"] == ["alan"]


def test_nothing_is_taken_from_a_colleague_unawares(grace: Staff) -> None:
    row, alan = talk(), Staff("alan", "view_conversation", "change_conversation")

    def assign(staff: Staff, to: Staff | None, seen: Staff | None, status: int = 200) -> Any:
        ids = {"assignee": to and to.actor.id, "seen": seen and seen.actor.id}
        return staff.act(row, "assign", ids, status)

    assign(grace, grace, seen=None)
    refused = assign(alan, alan, seen=None, status=409)
    assert refused["detail"] == "It is not assigned by this: grace has it now."
    assign(alan, None, seen=alan, status=409)
    assign(grace, grace, seen=None)  # again, where the answer was lost
    assert grace.ids(queue="mine") == [str(row.pk)]
    taken = assign(alan, alan, seen=grace)
    assert taken["assignee"]["name"] == "alan"
    row.refresh_from_db()
    assert taken["last_seq"] == row.last_seq
    assign(alan, None, seen=alan)
    refused = assign(grace, alan, seen=alan, status=409)
    assert "Nobody has it now" in refused["detail"]


def test_the_news_tell_how_far_people_have_read_and_how_they_came(grace: Staff) -> None:
    row = talk()
    add_address("ada", Channel.EMAIL, "ada@simulator.test", is_verified=True)
    news = grace.get(row, "news", since=0)
    assert [one["medium"] for one in news["ways"]] == ["chat", "email"]
    grace.reply(row, "Yes?")
    row.refresh_from_db()
    marks.read(Actor(Who.USER, "ada"), row.pk, row.last_seq)
    entries.post(Actor(Who.USER, "ada"), row.pk, "By mail", medium=Medium.EMAIL)
    news = grace.get(row, "news", since=0)
    assert news["ways"][0]["address"] == "ada@simulator.test"
    read = {one["id"]: one["read_seq"] for one in news["participants"]}
    assert read["ada"] >= row.last_seq


def test_who_looks_on_does_nothing_and_others_see_nothing(grace: Staff) -> None:
    row, private = talk(), talk(Kind.GROUP)
    viewer, nobody = Staff("viewer", "view_conversation"), Staff("nobody")
    for what in ("thread", "person", "replies"):
        viewer.get(row, what)
        nobody.get(row, what, 403)
        grace.get(private, what, 404)
    assert viewer.get(row, "person")["known"] is None
    assert grace.ids(queue="open") == [str(row.pk)]
    assert grace.ids(ids=f"{row.pk},{private.pk}") == [str(row.pk)]
    bodies = {
        "reply": {"body": "x", "medium": "chat"},
        "note": {"body": "x"},
        "assign": {"assignee": None, "seen": None},
        "status": {"status": "closed"},
        "unread": {"on": True},
        "edit": {"entry": str(new_id()), "body": "x"},
        "remove": {"entry": str(new_id())},
        "react": {"entry": str(new_id()), "emoji": "👍", "on": True},
    }
    for what, body in bodies.items():
        viewer.act(row, what, body, 403)
        nobody.act(row, what, body, 403)
        grace.act(private, what, body, 404)
    for staff in (viewer, Staff("former", "view_conversation")):
        asked = {"assignee": staff.actor.id, "seen": None}
        grace.act(row, "assign", asked, 400)  # they may not answer
    with pytest.raises(NotAllowed):
        entries.post(viewer.actor, row.pk, "by another way")
    for person_ in (grace, viewer):
        session = Session("s", Person(PersonKind.STAFF, person_.actor.id))
        frame = {"conversation": str(row.pk), "client_id": "c", "body": "x"}
        with pytest.raises(NotAllowed):  # nothing of staff goes past the trail
            live.SEND.handle(session, frame)
    assert Entry.objects.filter(conversation=row).count() == 1
    feed = live.SupportFeed()
    who = [Person(PersonKind.STAFF, one.actor.id) for one in (grace, viewer, nobody)]
    who.append(Person(PersonKind.USER, grace.actor.id))
    wishes = [(one, key) for one in who for key in ("team", str(row.pk))]
    assert set(feed.authorise(wishes)) == {(one, "team") for one in who[:2]}


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("reply", "{"),
        ("reply", "[]"),
        ("reply", {"body": "x"}),
        ("reply", {"body": "x", "medium": "pigeon"}),
        ("reply", {"body": " ", "medium": "chat"}),
        ("reply", {"body": "x" * 10_001, "medium": "chat"}),
        ("reply", {"body": "x\0", "medium": "chat"}),
        ("reply", {"body": "x", "medium": "chat", "attachments": [str(new_id())]}),
        ("reply", {"body": "x", "medium": "chat", "mentions": ["ada"]}),
        ("note", {"body": ""}),
        ("note", {"body": "x", "client_id": "two words"}),
        ("assign", {"assignee": "²", "seen": None}),
        ("assign", {"assignee": "9" * 20, "seen": None}),
        ("assign", {}),
        ("assign", {"assignee": None}),
        ("status", {"status": "pending"}),
        ("edit", {"entry": "x", "body": "x"}),
        ("edit", {"entry": str(new_id())}),
        ("remove", {}),
        ("remove", {"entry": str(new_id()), "body": "x"}),
        ("react", {"entry": str(new_id()), "emoji": "👍"}),
        ("unread", {"on": "no"}),
        ("upload", {}),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(grace: Staff, what: str, body: Any) -> None:
    row = talk()
    before = Conversation.objects.values().get()
    answer = grace.act(row, what, body, 400)
    assert answer["type"]
    assert Conversation.objects.values().get() == before
    assert not Note.objects.exists()
    assert not AuditEvent.objects.filter(object_id=str(row.pk)).exists()


def test_bad_questions_are_refused(grace: Staff) -> None:
    row = talk()
    wrong = ({"queue": "x"}, {"queue": "open", "after": "x"}, {"ids": "x"}, {"q": "x" * 201})
    naive = {"queue": "open", "after": f"2026-01-01T00:00:00~{row.pk}"}
    beyond = {"queue": "open", "after": f"9999-12-31T23:59:59-23:59~{row.pk}"}
    for query in ({}, *wrong, naive, beyond):
        grace.rows(400, **query)
    for place in ("before", "from", "around"):
        for seq in ("x", "-1", "9" * 16):
            grace.get(row, "thread", 400, **{place: seq})
    for after in ("x", "person~x", f"words~nan~{row.pk}", f"words~x~{row.pk}", "words~1~x"):
        grace.rows(400, q="parcel", after=after)
    assert grace.ids(q="...") == []


def test_a_page_of_a_queue_costs_the_same_however_many_there_are(grace: Staff) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            grace.rows(queue="open")
        return len(queries)

    rows = many(3)
    few = cost()
    rows += many(197)
    Conversation.objects.update(active_at=timezone.now())  # all at the same moment
    assert cost() <= few

    found: list[str] = []
    query: dict[str, Any] = {"queue": "open"}
    while True:
        page = grace.rows(**query)
        assert len(page["results"]) <= 30
        found += [row["id"] for row in page["results"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert sorted(found) == sorted(str(row.pk) for row in rows)
    assert page["counts"] == {"mine": 0, "unassigned": 100, "open": 100}
    assert Conversation.objects.create(kind=Kind.SUPPORT, status=Status.OPEN).id not in found


def test_search_finds_words_people_and_addresses(grace: Staff) -> None:
    row = talk(body="The parcel & all is lost")
    other = talk(user_id="bob", body="Another matter")
    talk(Kind.GROUP, body="A parcel between people")
    add_address("ada", Channel.EMAIL, "ada@example.com", is_verified=True)
    Recipient.objects.filter(user_id="ada").update(data={"name": "Augusta King-Noel"})
    Recipient.objects.create(user_id="bob", data={"name": "Bob", "job": "king"})
    for text in ("parcel", "parc", "ada", "ada@example.com", "augusta", "KING aug", "noel"):
        assert grace.ids(q=text) == [str(row.pk)], text
    (found,) = grace.rows(q="parcel")["results"]
    entry = row.entries.get()
    assert found["hit"] == {
        "seq": entry.seq,
        "at": selectors.moment(entry.created_at),
        "snippet": "<mark>parcel</mark> &amp; all is lost",
    }
    entries.post(Actor(Who.USER, "bob"), other.pk, "I ask for Ada")
    assert grace.ids(q="ada") == [str(row.pk), str(other.pk)]  # who is called so comes first


def test_search_goes_on_to_the_last_of_what_is_found(grace: Staff) -> None:
    ada = Actor(Who.USER, "ada")
    people = [talk(user_id=f"smith-{number}", body="Hello") for number in range(33)]
    Recipient.objects.bulk_create(
        Recipient(user_id=f"smith-{number}", data={"name": f"John Smith {number}"})
        for number in range(33)
    )
    row = talk(body="Is smith there? 0")
    for number in range(1, 62):
        entries.post(ada, row.pk, f"Is smith there? {number}")
    found: list[tuple[str, int]] = []
    query: dict[str, Any] = {"q": "smith"}
    while True:
        page = grace.rows(**query)
        found += [(one["id"], one.get("hit", {}).get("seq", 0)) for one in page["results"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert {id_ for id_, seq in found[:33]} == {str(one.pk) for one in people}
    seqs = list(row.entries.filter(kind="text").values_list("seq", flat=True))
    assert len(seqs) == 62
    assert sorted(found[33:]) == sorted((str(row.pk), seq) for seq in seqs)


@pytest.mark.parametrize(
    "typed", ["José Ñandú", "jose nandu", "JOSE", "nandu", "José Ñ", "jose n", "Jose\u0301"]
)
def test_people_are_found_without_their_accents(grace: Staff, typed: str) -> None:
    row = talk()
    talk(user_id="bob")
    Recipient.objects.create(user_id="ada", data={"name": "José Ñandú"})
    assert grace.ids(q=typed) == [str(row.pk)]


def test_people_are_found_by_name_by_an_index(grace: Staff) -> None:
    text = search._called("smith")
    assert text is not None
    with connection.cursor() as cursor:
        for scan in ("seqscan", "indexscan", "indexonlyscan"):  # this index gives bitmaps alone
            cursor.execute(f"SET LOCAL enable_{scan} = off")
    assert "recipient_by_plain_name" in text.explain()


def test_what_is_new_is_each_ones_own(grace: Staff) -> None:
    row, alan = talk(), Staff("alan", "view_conversation", "change_conversation")

    def unread() -> list[bool]:
        return [
            one["is_unread"]
            for staff in (grace, alan)
            for one in staff.rows(ids=str(row.pk))["results"]
        ]

    def read(staff: Staff) -> None:
        session = Session("s", Person(PersonKind.STAFF, staff.actor.id))
        last = Conversation.objects.get().last_seq
        live.MARK_READ.handle(session, {"conversation": str(row.pk), "seq": last})

    assert unread() == [True, True]
    read(grace)
    assert unread() == [False, True]
    assert not Participant.objects.filter(who=Who.STAFF).exists()  # looking on is no part
    grace.reply(row, "Yes?")
    assert unread() == [False, False]  # nobody waits for an answer
    entries.post(Actor(Who.USER, "ada"), row.pk, "No.")
    assert unread() == [True, True]
    read(grace)
    read(alan)
    assert unread() == [False, False]
    mine = Participant.objects.get(who=Who.STAFF)
    assert (mine.person_id, mine.read_seq) == (grace.actor.id, Conversation.objects.get().last_seq)
    alan.act(row, "unread", {"on": True})
    assert unread() == [False, True]
    alan.act(row, "unread", {"on": False})
    assert unread() == [False, False]


# --- Notes ----------------------------------------------------------------------------------


def test_a_note_reaches_nobody_but_the_team(grace: Staff, settings: Any, api: APIClient) -> None:
    settings.CONVERSATION_AWAY_MINUTES = 5
    ada = person("ada")
    add_address("ada", Channel.EMAIL, "ada@example.com", is_verified=True)
    chat = start(ada, "support")
    write(ada, chat, "Hello?")
    row = Conversation.objects.get()
    grace.reply(row, "Yes.")
    before = call(ada, "get", f"/{chat['id']}")
    grace.act(row, "note", {"body": SECRET})
    assert call(ada, "get", f"/{chat['id']}") == before  # no number, no mark, nothing unread

    path = f"/api/v1/conversations/{chat['id']}"
    asked = [
        *("/api/v1/conversations", f"/api/v1/conversations/search?q={SECRET}", path),
        *(f"{path}/{part}" for part in ("entries", "entries?after=0", "participants", "pins")),
        *(f"{path}/export?format={kind}" for kind in ("json", "ndjson", "txt")),
    ]
    for where in asked:
        answer = ada.get(where)
        content = answer.getvalue() if answer.streaming else answer.content
        assert answer.status_code == 200, where
        assert SECRET.encode() not in content, where
    for method in (ada.get, ada.post):
        answer = method(f"{path}/notes", {"body": "x"})
        assert answer.status_code == 403
    frames = selectors.told({row.pk: 0}, 500)
    assert SECRET not in json.dumps([one.entry for one in frames], default=str)

    Reminder.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    reminders.tell()
    drain()
    (mail,) = SimulatedMessage.objects.all()
    assert "Yes." in mail.parts["text"]
    assert SECRET not in json.dumps(mail.parts)
    told = [export(Subject("ada"), "").rows for export in HOLDER.exports.values()]
    assert SECRET not in json.dumps(told, default=str)
    assert "Hello?" in json.dumps(told, default=str)

    agent = start(api, "support", "ada")
    written = call(api, "post", f"/{agent['id']}/notes", {"body": "from the agent"}, 201)
    assert call(api, "get", f"/{agent['id']}/notes") == [written]
    assert grace.get(Conversation.objects.get(pk=agent["id"]), "thread")["notes"] == [written]
    place = ""
    while place := erase.entries(Subject("ada"), place).after:
        pass
    assert not Note.objects.exists()  # they are about the person


def test_a_thread_is_read_piece_by_piece_from_anywhere(grace: Staff) -> None:
    """Each entry and each note once, on the way up and down, and around any."""
    row = talk()
    for number in range(1, 400):
        entries.post(Actor(Who.USER, "ada"), row.pk, str(number))
        if number % 40 == 0:
            notes.add(grace.actor, row.pk, f"after {number}")
    every = list(row.entries.order_by("seq").values_list("seq", flat=True))
    told = [f"after {number}" for number in range(40, 400, 40)]

    def read(piece: Any) -> tuple[list[int], list[str]]:
        return [one["seq"] for one in piece["entries"]], [one["body"] for one in piece["notes"]]

    for first in ({}, {"around": every[200]}, {"around": 0}, {"around": 10**14}):
        begun = grace.get(row, "thread", **first)
        seqs, bodies = read(begun)
        since, until = begun["since"], begun["until"]
        while since:
            piece = grace.get(row, "thread", before=since)
            older, before = read(piece)
            seqs, bodies, since = [*older, *seqs], [*before, *bodies], piece["since"]
        while until is not None:
            piece = grace.get(row, "thread", **{"from": until})
            newer, after = read(piece)
            seqs, bodies, until = [*seqs, *newer], [*bodies, *after], piece["until"]
        assert (seqs, bodies) == (every, told), first
        assert first == {} or begun["conversation"]["id"] == str(row.pk)
    around, _ = read(grace.get(row, "thread", around=every[200]))
    assert every[200] in around[10:-10]
    assert read(grace.get(row, "thread", before=1)) == ([], [])


def test_staff_answer_react_edit_and_delete(grace: Staff) -> None:
    row = talk()
    asked = row.entries.get()
    answer = grace.reply(row, "Yes", reply_to=str(asked.pk))
    assert answer["reply_to"]["excerpt"] == "Hello?"
    for on, by in ((True, [grace.actor.id]), (True, [grace.actor.id]), (False, [])):
        found = grace.act(row, "react", {"entry": str(asked.pk), "emoji": "👍", "on": on})
        assert [one["id"] for it in found["reactions"] for one in it["by"]] == by
    grace.act(row, "react", {"entry": str(asked.pk), "emoji": "yes", "on": True}, 400)
    edited = grace.act(row, "edit", {"entry": answer["id"], "body": "No"})
    assert (edited["body"], edited["edited_at"] is not None) == ("No", True)
    grace.act(row, "edit", {"entry": str(asked.pk), "body": "x"}, 403)
    gone = grace.act(row, "remove", {"entry": answer["id"]})
    assert (gone["body"], gone["deleted_at"] is not None) == ("", True)


def test_files_stay_in_the_order_in_which_they_are_named(
    grace: Staff, settings: Any, tmp_path: Any
) -> None:
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": tmp_path},
    }
    settings.STORAGES = settings.STORAGES | {"attachments": storage}
    row = talk()
    where = reverse("conversations_conversation_upload", args=[row.pk])
    ids = [
        grace.client.post(where, {"file": SimpleUploadedFile(f"{name}.txt", b"x")}).json()["id"]
        for name in "abc"
    ]
    grace.reply(row, "Here", attachments=[ids[2], ids[0], ids[1]])
    (entry,) = [one for one in grace.get(row, "thread")["entries"] if one["body"] == "Here"]
    assert [one["name"] for one in entry["attachments"]] == ["c.txt", "a.txt", "b.txt"]


def test_the_page_knows_who_is_signed_in(grace: Staff) -> None:
    answer = grace.client.get(reverse("staff-inbox-session")).json()
    assert answer["me"] == {"id": grace.actor.id, "name": "grace"}
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = grace.client.cookies
    row = talk()
    where = reverse("conversations_conversation_note", args=[row.pk])
    for token, status in (("x" * 64, 403), (answer["token"], 200)):
        told = strict.post(
            where, {"body": "x"}, content_type="application/json", headers={"X-CSRFToken": token}
        )
        assert told.status_code == status


def test_notes_stand_where_they_were_written(grace: Staff) -> None:
    row = talk()
    for number in range(60):
        entries.post(Actor(Who.USER, "ada"), row.pk, str(number))
        if number in (2, 55):
            notes.add(grace.actor, row.pk, f"after {number}")
    latest = grace.get(row, "thread")
    assert [one["body"] for one in latest["notes"]] == ["after 55"]
    first = latest["entries"][0]["seq"]
    older = grace.get(row, "thread", before=first)
    assert [one["body"] for one in older["notes"]] == ["after 2"]
    assert older["since"] == 0
    news = grace.get(row, "news", since=first)
    assert [one["body"] for one in news["notes"]] == ["after 55"]
    with pytest.raises(CommsError):
        notes.add(grace.actor, talk(Kind.GROUP).pk, "x")


# --- As the person came ---------------------------------------------------------------------


@pytest.fixture
def mailbox(settings: Any) -> None:
    settings.REPLY_DOMAIN = "reply.example.com"
    settings.SUPPORT_ADDRESSES = [SUPPORT, "+14155550100"]


def comes(channel: Channel, sender: str, text: str, to: str = "", **more: Any) -> None:
    default = SUPPORT if channel is Channel.EMAIL else "+14155550100"
    report = Inbound(
        dedupe=str(new_id()),
        channel=channel,
        sender=sender,
        to=to or default,
        text=text,
        at=timezone.now(),
        **more,
    )
    inbound.record("simulator", [report], received_at=timezone.now())


@pytest.mark.usefixtures("mailbox")
@pytest.mark.django_db(transaction=True)
def test_a_reply_goes_as_the_person_came(grace: Staff) -> None:
    comes(Channel.EMAIL, "eve@simulator.test", "My <b>order</b>", subject="Order 7")
    comes(Channel.EMAIL, "eve@simulator.test", "One more thing", subject="Re: Order 7")
    row = Conversation.objects.get()
    assert (row.title, row.status) == ("Order 7", Status.OPEN)
    found = grace.get(row, "thread")
    assert [one["medium"] for one in found["entries"]] == ["email", "email"]
    assert found["ways"][0] == {
        "medium": "email",
        "label": "Email",
        "address": "eve@simulator.test",
    }
    told = "It is **on** its <way>.\n\n- [See](https://example.com/7)\n- `5 < 7`\n  & more"
    answer = grace.reply(row, told, medium="email")
    drain()
    (mail,) = SimulatedMessage.objects.all()
    assert (mail.address, mail.parts["subject"]) == ("eve@simulator.test", "Re: Order 7")
    assert mail.parts["text"] == (
        "It is on its <way>.\n\n- See (https://example.com/7)\n- 5 < 7\n  & more"
    )
    shown = unescape(mail.parts["html"]).replace("\n", "")
    assert "<p>It is <strong>on</strong> its <way>.</p>" in shown
    assert '<p>- <a href="https://example.com/7">See</a></p>' in shown
    assert "<p>- <code>5 < 7</code><br>& more</p>" in shown
    assert "<way>" not in mail.parts["html"]
    assert not Reminder.objects.filter(participant__who=Who.USER).exists()  # told already
    sent = grace.get(row, "news", since=0)["sent"][answer["id"]]
    assert sent["state"] in {"Sent", "Delivered"}
    me = Participant.objects.get(who=Who.USER)
    assert Notification.objects.get().reply_to == reply_to.address(me.id)
    comes(Channel.EMAIL, "eve@simulator.test", "Thank you", to=reply_to.address(me.id))
    assert [one.body for one in row.entries.order_by("seq")][-1] == "Thank you"
    assert Conversation.objects.count() == 1

    grace.act(row, "edit", {"entry": answer["id"], "body": "Never mind"}, 409)
    grace.reply(row, "x", 409, medium="sms")  # no number is known of her


def test_who_has_left_is_answered_by_nobody_elses_address(grace: Staff) -> None:
    """The pane, the words and the ways are of one person: whom the conversation is about."""
    row = talk()
    add_address("bob", Channel.EMAIL, "bob@example.org", is_verified=True)
    Participant.objects.create(conversation=row, person_id="bob")
    Participant.objects.filter(conversation=row, person_id="ada").update(left_at=timezone.now())
    assert grace.get(row, "person")["id"] == "ada"
    assert [way["medium"] for way in grace.get(row, "thread")["ways"]] == ["chat"]
    grace.reply(row, "This is for Ada.", 409, medium="email")


@pytest.mark.usefixtures("mailbox")
@pytest.mark.django_db(transaction=True)
def test_text_messages_come_and_go(grace: Staff, settings: Any, tmp_path: Any) -> None:
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": tmp_path},
    }
    settings.STORAGES = settings.STORAGES | {"attachments": storage}
    number = "+14155550132"
    add_address("ada", Channel.SMS, number, is_verified=True)
    add_address("ada", Channel.EMAIL, "ada@simulator.test", is_verified=True)
    comes(Channel.SMS, number, "Where is it?")
    row = Conversation.objects.get()
    assert Participant.objects.get().person_id == "ada"
    assert [way["medium"] for way in grace.get(row, "thread")["ways"]] == ["sms", "chat", "email"]
    grace.reply(row, "At the **post** office.", medium="sms")
    drain()
    (sms,) = SimulatedMessage.objects.all()
    assert (sms.address, sms.parts["text"]) == (number, "At the post office.")
    comes(Channel.SMS, number, "Which one?")
    assert [one.medium for one in row.entries.order_by("seq")] == ["sms"] * 3

    where = reverse("conversations_conversation_upload", args=[row.pk])
    file = grace.client.post(where, {"file": SimpleUploadedFile("bill.txt", b"a bill")}).json()
    grace.reply(row, "", 400, medium="sms", attachments=[file["id"]])
    grace.reply(row, "", medium="email", attachments=[file["id"]])
    assert [one["filename"] for one in Notification.objects.latest("id").attachments] == [
        "bill.txt"
    ]
    shown = grace.client.get(reverse("staff-inbox-file", args=[file["id"]]), follow=True)
    assert shown.getvalue() == b"a bill"

    comes(Channel.SMS, number, "STOP", wish=Inbound.Wish.STOP)
    before = Entry.objects.count()
    refused = grace.reply(row, "Are you there?", 409, medium="sms")
    assert "would not reach" in refused["detail"]
    assert Entry.objects.count() == before
    assert Notice.objects.count() == 2


@pytest.mark.usefixtures("mailbox")
@pytest.mark.django_db(transaction=True)
def test_what_is_not_for_the_team_opens_nothing() -> None:
    comes(Channel.EMAIL, "eve@simulator.test", "x", to="sales@example.com")
    comes(Channel.EMAIL, "eve@simulator.test", "x", is_automatic=True)
    comes(Channel.EMAIL, "eve@simulator.test", "x", is_forged=True)
    comes(Channel.EMAIL, "eve@simulator.test", " ")
    comes(Channel.SMS, "12345", "x")  # a short code cannot be answered
    assert not Conversation.objects.exists()


@pytest.mark.usefixtures("mailbox")
@pytest.mark.django_db(transaction=True)
def test_messages_of_a_stranger_that_come_at_once_open_one_conversation() -> None:
    rows = [
        InboundMessage(
            provider="simulator",
            dedupe=str(number),
            channel=Channel.EMAIL,
            sender="eve@simulator.test",
            sender_hash="0" * 64,
            to=SUPPORT,
            text=str(number),
            at=timezone.now(),
        )
        for number in range(6)
    ]
    InboundMessage.objects.bulk_create(rows)

    def take(row: InboundMessage) -> int:
        try:
            return answers.take([row.id])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, rows)) == 6
    assert answers.take_recent() == 6  # once more, and nothing is new
    said = Conversation.objects.get().entries.values_list("body", flat=True)
    assert sorted(said) == [str(number) for number in range(6)]


def test_a_suppressed_mailbox_is_told_of_before_anything_is_written(grace: Staff) -> None:
    row = talk()
    add_address("ada", Channel.EMAIL, "ada@simulator.test", is_verified=True)
    address = Address.objects.get()
    suppress.add(
        channel="email",
        address_hash=_digest(address),
        reason=SuppressionReason.BOUNCE,
        source="test",
    )
    grace.reply(row, "Hello", 409, medium="email")
    assert Entry.objects.count() == 1
    assert "Email: gets nothing" in grace.get(row, "person")["known"]["blocked"][0]


def _digest(address: Address) -> str:
    from notifications import addresses

    return addresses.digest(Channel(address.channel), address.value)


# --- Canned replies, the person -------------------------------------------------------------


def test_canned_replies_are_filled_with_what_is_known(grace: Staff) -> None:
    row = talk()
    Recipient.objects.create(user_id="ada", data={"name": "Ada {{ x }}", "plan": {"name": "Pro"}})
    texts = {
        "reply-a": "Hello {{ name }}, {{ plan.name }} until {{ plan.until }}. {{ staff }}",
        "reply-b": "{% for one in items %}{{ one }}{% endfor %}Bye",
    }
    for key, text in texts.items():
        made = authors.create(
            key=key,
            name=key.title(),
            author="x",
            kind=TemplateKind.REPLY,
            locale="en",
            channels={"sms": {"text": text}},
        )
        authors.publish(made)
    authors.create(
        key="reply-c",
        name="A draft",
        author="x",
        kind=TemplateKind.REPLY,
        locale="en",
        channels={"sms": {"text": "x"}},
    )
    found = grace.get(row, "replies")["results"]
    assert [(one["key"], one["text"]) for one in found] == [
        ("reply-a", "Hello Ada {{ x }}, Pro until [plan.until]. grace"),
        ("reply-b", "Bye"),
    ]


def test_the_pane_tells_of_the_person(grace: Staff) -> None:
    row, other = talk(), talk(body="Earlier")
    support.set_status(grace.actor, other.pk, Status.CLOSED)
    talk(Kind.GROUP)
    add_address("ada", Channel.EMAIL, "ada@simulator.test", is_verified=True)
    Recipient.objects.update(data={"name": "Ada", "deep": {"x": 1}, "plan": "Pro"})
    grace.reply(row, "Hello", medium="email")
    pane = grace.get(row, "person")
    assert (pane["id"], pane["name"]) == ("ada", "Ada")
    assert pane["known"]["data"] == {"plan": "Pro"}
    assert pane["known"]["addresses"] == [
        {"channel": "Email", "value": "ada@simulator.test", "is_verified": True}
    ]
    assert [one["about"] for one in pane["messages"]] == ["Answer of the support team"]
    assert [(one["id"], one["status"]) for one in pane["conversations"]] == [
        (str(other.pk), "closed")
    ]


def test_marks_are_of_conversations_that_are_theirs(grace: Staff) -> None:
    private = talk(Kind.GROUP)
    for do in (team.read, team.unread):
        with pytest.raises(CommsError):
            do(grace.actor, private.pk)
    with pytest.raises(CommsError):
        team.read(grace.actor, UUID(int=0))
    assert private.entries.get().medium == Medium.CHAT
