"""Zulip's rule: whatever people do, an old state and the frames since are what a new client gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from commsproject.common.errors import CommsError
from conversations import selectors
from conversations.live import ConversationFeed
from conversations.models import Conversation
from conversations.services import entries, marks, start, support
from conversations.types import Actor, Kind, Role, Status, Who

PEOPLE = [Actor(Who.USER, name) for name in ("ada", "bob", "eve")]
TEAM = Actor(Who.STAFF, "")


class Client:
    """What somebody's program has: a snapshot, then only frames."""

    def __init__(self, conversation_id: UUID) -> None:
        self.id = conversation_id
        self.feed = ConversationFeed()
        shot = snapshot(conversation_id)
        self.seq: int = shot.pop("seq")
        self.state = shot

    def catch_up(self, limit: int) -> None:
        """Some frames at a time, until there are no more."""
        key = str(self.id)
        while frames := list(self.feed.read({key: self.seq}, limit)):
            for _, seq, frame in frames:
                assert seq == self.seq + 1  # none is left out
                assert frame["seq"] == seq
                self.seq = seq
                self._take(frame)

    def _take(self, frame: Any) -> None:
        entry = frame["entry"]
        self.state["entries"][entry["id"]] = entry
        if frame["type"] == "entry.changed":
            return
        author = (entry["author"]["kind"], entry["author"]["id"])
        if entry["kind"] == "text":
            self.state["people"].setdefault(author, "member")  # the team's takes part by writing
            if self.state["status"]:
                self.state["status"] = "open" if author[0] == "user" else "pending"
            return
        self._hear(entry["event"])

    def _hear(self, event: Any) -> None:
        people = self.state["people"]
        match event["type"]:
            case "joined":
                people.update({("user", one): "member" for one in event["people"]})
            case "left":
                for one in event["people"]:
                    people.pop((event["kind"], one))
            case "assigned":
                self.state["assignee"] = next(iter(event["people"]), None)
                people.update({("staff", one): "member" for one in event["people"]})
            case "status":
                self.state["status"] = event["status"]
            case "renamed":
                self.state["title"] = event["title"]
        for one in event.get("roles", ()):
            people[one["kind"], one["id"]] = one["role"]


def snapshot(conversation_id: UUID) -> dict[str, Any]:
    """What a client gets that has nothing."""
    conversation = Conversation.objects.get(id=conversation_id)
    (shown,) = selectors.conversations_as_json(TEAM, [conversation])
    found, more = selectors.history(conversation, TEAM, limit=1000)
    assert not more
    return {
        "seq": conversation.last_seq,
        "title": shown["title"],
        "status": shown["status"],
        "assignee": shown["assignee"],
        "people": {(one["kind"], one["id"]): one["role"] for one in shown["participants"]},
        "entries": {one["id"]: one for one in selectors.as_json(found)},
    }


Act = Callable[[Actor, UUID, int, str], object]


def _entry(conversation_id: UUID, number: int) -> UUID:
    found = Conversation.objects.get(id=conversation_id).entries.values_list("id", flat=True)
    return found[number % len(found)] if found else conversation_id


ACTIONS: dict[str, Act] = {
    "write": lambda me, id_, n, text: entries.post(me, id_, text, client_id=f"c{n}"),
    "reply": lambda me, id_, n, text: entries.post(
        me, id_, text, reply_to=_entry(id_, n), mentions=["ada"]
    ),
    "edit": lambda me, id_, n, text: entries.edit(me, id_, _entry(id_, n), text),
    "delete": lambda me, id_, n, _: entries.delete(me, id_, _entry(id_, n)),
    "react": lambda me, id_, n, _: entries.react(me, id_, _entry(id_, n), "👍", on=n % 3 > 0),
    "pin": lambda me, id_, n, _: entries.pin(me, id_, _entry(id_, n), on=n % 2 == 0),
    "read": lambda me, id_, n, _: marks.read(me, id_, n),
    "join": lambda me, id_, n, _: start.add(me, id_, [PEOPLE[n % 3].id, "new"]),
    "leave": lambda me, id_, _n, _t: start.leave(me, id_),
    "remove": lambda me, id_, n, _: start.leave(me, id_, PEOPLE[n % 3].id),
    "role": lambda me, id_, n, _: start.set_role(me, id_, PEOPLE[n % 3].id, list(Role)[n // 3 % 3]),
    "rename": lambda me, id_, _, text: start.rename(me, id_, text),
    "status": lambda me, id_, n, _: support.set_status(me, id_, list(Status)[n % 3]),
    "assign": lambda me, id_, n, _: support.assign(me, id_, me.id if n % 2 else None),
}

QUOTED = [("write", "Well"), ("reply", "Hello"), ("edit", "see you"), ("delete", "")]

steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(ACTIONS)),
        st.integers(0, 3),
        st.integers(0, 11),
        st.sampled_from(["Hello", "**Well**", "see you"]),
        st.booleans(),
    ),
    min_size=5,
    max_size=30,
)


@pytest.mark.django_db
@hypothesis.example(
    kind=Kind.GROUP,
    steps=[(name, 0, 0, text, True) for name, text in QUOTED],
    limit=1,
)
@hypothesis.example(
    kind=Kind.SUPPORT,
    steps=[(name, 3, 0, "", True) for name in ("write", "assign", "leave")],
    limit=1,
)
@hypothesis.settings(
    max_examples=hypothesis.settings.default.max_examples // 4,  # type: ignore[union-attr]
    suppress_health_check=[*hypothesis.HealthCheck],
)
@given(kind=st.sampled_from([Kind.GROUP, Kind.SUPPORT]), steps=steps, limit=st.integers(1, 7))
def test_an_old_state_and_the_frames_since_are_the_new_state(
    kind: Kind, steps: list[Any], limit: int
) -> None:
    with transaction.atomic():
        staff = User.objects.create(username="staff", is_staff=True, is_superuser=True)
        everybody = [*PEOPLE, Actor(Who.STAFF, str(staff.pk))]
        chat, _ = start.start(PEOPLE[0], kind, ["bob"], title="Trip")
        early = Client(chat.id)
        seen = [early]
        for name, who, number, text, is_looked_at in steps:
            try:
                ACTIONS[name](everybody[who], chat.id, number, text)
            except CommsError:
                continue  # they may not, or there is nothing to do it with: nothing happened
            if is_looked_at:
                seen.append(Client(chat.id))
                early.catch_up(limit)
        fresh = snapshot(chat.id)
        last = fresh.pop("seq")
        for client in seen:
            client.catch_up(limit)
            assert (client.seq, client.state) == (last, fresh)
        _check_unread(chat.id, fresh)
        transaction.set_rollback(True)


def _check_unread(conversation_id: UUID, fresh: dict[str, Any]) -> None:
    """It is kept, not counted: so it must be what a count would find."""
    conversation = Conversation.objects.get(id=conversation_id)
    for me in conversation.participants.filter(left_at=None):
        shown = [one for one in fresh["entries"].values() if selectors.for_people(one)]
        after = [one for one in shown if one["seq"] > me.read_seq]
        assert conversation.entries_made - me.read_entries == len(after), me
        named = [one for one in after if me.who == "user" and me.person_id in one["mentions"]]
        assert me.mentions == len(named), me
