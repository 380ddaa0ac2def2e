"""The team reads and answers support conversations in the console; other people's are not there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from commsproject.common.ids import new_id
from conversations.models import Conversation, Entry, Participant
from conversations.services import entries
from conversations.types import Actor, Kind, Status, Who

LIST = reverse("admin:conversations_conversation_changelist")


def talk(kind: Kind, body: str) -> Conversation:
    made = Conversation.objects.create(
        kind=kind, status=Status.OPEN if kind == Kind.SUPPORT else ""
    )
    Participant.objects.create(conversation=made, person_id="ada")
    entries.post(Actor(Who.USER, "ada"), made.id, body)
    return made


def page(name: str, row: Conversation) -> str:
    return reverse(f"admin:conversations_conversation_{name}", args=[row.pk])


def signed_in(name: str, *permissions: str) -> Client:
    client = Client()
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_the_team_takes_answers_and_closes() -> None:
    row, private = talk(Kind.SUPPORT, "<b>Help</b>"), talk(Kind.GROUP, "Between us")
    grace = signed_in("grace", "view_conversation", "change_conversation")
    listed = grace.get(LIST)
    assert list(listed.context["cl"].result_list) == [row]
    for term in ("ada", str(row.pk)):
        assert list(grace.get(LIST, {"q": term}).context["cl"].result_list) == [row]
    assert "&lt;b&gt;Help" in grace.get(page("change", row)).content.decode()

    grace.post(page("take", row))
    assert list(grace.get(LIST, {"assigned": "me"}).context["cl"].result_list) == [row]
    said = {"body": "Have you tried\r\nagain?", "client_id": str(new_id())}
    for _ in range(2):  # pressed twice
        grace.post(page("answer", row), said)
    answer = Entry.objects.get(conversation=row, who=Who.STAFF, kind="text")
    assert answer.body == "Have you tried\nagain?"
    row.refresh_from_db()
    assert row.status == Status.PENDING
    shown = grace.get(page("change", row)).content.decode()
    assert "grace changed who looks after it" in shown
    grace.post(page("close", row))
    grace.post(page("give_back", row))
    row.refresh_from_db()
    assert (row.status, row.assignee) == (Status.CLOSED, None)
    grace.post(page("reopen", row))
    row.refresh_from_db()
    assert row.status == Status.OPEN

    for body in ("", " ", "x" * 10_001, "a\0b"):
        grace.post(page("answer", row), {"body": body})
    assert Entry.objects.filter(conversation=row, who=Who.STAFF, kind="text").count() == 1
    assert grace.get(page("change", private)).status_code == 302  # as if there were none
    assert grace.post(page("answer", private), said).status_code == 404
    assert grace.get(page("answer", row)).status_code == 405

    viewer = signed_in("viewer", "view_conversation")
    assert "Answer" not in viewer.get(page("change", row)).content.decode()
    assert viewer.post(page("answer", row), said).status_code == 403
    assert signed_in("nobody").get(LIST).status_code == 403
