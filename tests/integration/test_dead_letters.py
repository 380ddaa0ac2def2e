"""What was given up is found, mended and sent again, once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import retry
from notifications.models import (
    Batch,
    BatchDelta,
    DeadLetter,
    Delivery,
    Event,
    Notification,
    ProviderState,
    Work,
)
from notifications.services import audit, replay
from notifications.states import State
from notifications.types import Channel, ErrorClass, Lane
from tests.email_world import EmailWorld, email_world
from tests.engine import drain, make_everything_due
from tests.factories import (
    CategoryFactory,
    DeadLetterFactory,
    DeliveryFactory,
    SuppressionFactory,
    TemplateVersionFactory,
)

URL = "/api/v1/dead-letters"
PERSON = "ada@simulator.test"


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def letter_of(agent: ApiClient, **fields: Any) -> DeadLetter:
    return DeadLetterFactory.create(delivery__notification__client=agent, **fields)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


# --- Looking ---------------------------------------------------------------------------------


def test_each_filter_finds_what_has_it_and_nothing_else(api: APIClient, agent: ApiClient) -> None:
    version: Any = TemplateVersionFactory()
    category = CategoryFactory()
    batch = Batch.objects.create(client=agent)
    plain = letter_of(agent, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    special = letter_of(
        agent,
        error_class=ErrorClass.THROTTLED,
        code="429",
        providers=["sendgrid", "simulator"],
        delivery__channel=Channel.SMS,
        delivery__address="+14155550132",
        delivery__notification__category=category,
        delivery__notification__template_version=version,
        delivery__notification__batch=batch,
        replayed_at=timezone.now(),
    )
    queries = {
        "error_class": ErrorClass.THROTTLED.value,
        "code": "429",
        "provider": "sendgrid",
        "channel": "sms",
        "category": category.key,
        "template": version.template.key,
        "batch": str(batch.id),
        "since": "2026-02-01T00:00:00Z",
        "replayed": "true",
    }
    for name, value in queries.items():
        assert ids(api.get(URL, {name: value})) == [str(special.id)], name
    assert ids(api.get(URL, queries)) == [str(special.id)]
    assert ids(api.get(URL, {"until": "2026-02-01T00:00:00Z"})) == [str(plain.id)]
    assert ids(api.get(URL, {"replayed": "false"})) == [str(plain.id)]
    assert ids(api.get(URL, {"code": "none"})) == []
    assert ids(api.get(URL)) == [str(special.id), str(plain.id)]


def test_pages_follow_each_other(api: APIClient, agent: ApiClient) -> None:
    letters = [str(letter_of(agent).id) for _ in range(3)]
    first = api.get(URL, {"limit": 2})
    assert ids(first) == letters[:0:-1]
    assert ids(api.get(first.json()["next"])) == letters[:1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error_class", "gremlins"),
        ("channel", "pigeon"),
        ("provider", "pigeon-post"),
        ("category", "no-such"),
        ("category", "not a slug"),
        ("template", "no-such"),
        ("batch", "7"),
        ("batch", "019a0000-0000-7000-8000-000000000001"),
        ("since", "yesterday"),
        ("until", "2026-13-01T00:00:00Z"),
        ("replayed", "perhaps"),
        ("code", "a\0b"),
        ("colour", "red"),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused_by_name(
    api: APIClient, name: str, value: str
) -> None:
    assert fields_of(api.get(URL, {name: value})) == [name]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_times(api: APIClient, moment: str) -> None:
    assert ids(api.get(URL, {"since": moment, "until": moment})) == []


def test_one_dead_letter_tells_its_whole_story(api: APIClient, agent: ApiClient) -> None:
    letter = letter_of(agent, delivery__notification__reference="order-7")
    shown = api.get(f"{URL}/{letter.id}").json()
    assert (shown["to"], shown["reference"]) == (letter.delivery.address, "order-7")
    assert (shown["error_class"], shown["code"]) == ("temporary", "503")
    assert (shown["data"], shown["replayed_as"]) == (None, None)
    assert shown["delivery"]["status"] == "dead"
    assert [attempt["state"] for attempt in shown["delivery"]["attempts"]] == ["failed"]


def test_an_empty_filter_is_no_way_to_replay_everything(api: APIClient) -> None:
    DeadLetterFactory.create()
    answer = api.post(f"{URL}/replay", {"filter": {}}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "empty_filter"


def test_the_letters_of_another_agent_are_not_there(api: APIClient, db: None) -> None:
    theirs: Any = DeadLetterFactory()
    assert ids(api.get(URL)) == []
    one = f"{URL}/{theirs.id}"
    for answer in (
        api.get(one),
        api.patch(one, {"to": PERSON}, format="json"),
        api.post(f"{one}/replay"),
    ):
        assert problem(answer) == (404, "not_found")
    (result,) = replay_many(api, ids=[str(theirs.id)])["results"]
    assert (result["code"], result["delivery_id"]) == ("not_found", None)
    assert replay_many(api, filter={"since": "2020-01-01T00:00:00Z"}) == {
        "results": [],
        "remaining": 0,
    }
    batch = Batch.objects.create(client=theirs.delivery.notification.client)
    assert fields_of(api.get(URL, {"batch": str(batch.id)})) == ["batch"]
    theirs.refresh_from_db()
    assert (theirs.replayed_at, theirs.address) == (None, "")


# --- Mending ---------------------------------------------------------------------------------


def patch(api: APIClient, letter: DeadLetter, **fields: Any) -> Any:
    return api.patch(f"{URL}/{letter.id}", fields, format="json")


def test_an_edit_is_shown_and_can_be_taken_back(api: APIClient, agent: ApiClient) -> None:
    letter = letter_of(
        agent,
        delivery__notification__content={"email": {"subject": "Hi {{ name }}", "text": "Hi"}},
        delivery__notification__data={"name": "Ada"},
    )
    shown = patch(api, letter, to="Bob@SIMULATOR.test", data={"name": "Bob"}).json()
    assert (shown["to"], shown["data"]) == ("Bob@simulator.test", {"name": "Bob"})
    assert shown["delivery"]["to"] == letter.delivery.address
    shown = patch(api, letter, to=None).json()
    assert (shown["to"], shown["data"]) == (letter.delivery.address, {"name": "Bob"})
    assert patch(api, letter, data=None).json()["data"] == {"name": "Ada"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "nobody"}, "to"),
        ({"to": "+14155550132"}, "to"),
        ({"to": ""}, "to"),
        ({"to": 5}, "to"),
        ({"to": "a" * 321}, "to"),
        ({"to": "ada@simulator.test\n"}, "to"),
        ({"data": []}, "data"),
        ({"data": "name"}, "data"),
        ({"data": {}}, "data.name"),
        ({"data": {"name": "x" * 20_000}}, "data"),
        ({"data": {"name": "Ada"}, "to": "nobody"}, "to"),
        ({}, ""),
        ({"address": PERSON}, "address"),
    ],
)
def test_an_edit_is_checked_as_at_submission(
    api: APIClient, agent: ApiClient, change: dict[str, Any], field: str
) -> None:
    version = TemplateVersionFactory()
    letter = letter_of(
        agent,
        delivery__notification__template_version=version,
        delivery__notification__content=None,
        delivery__notification__data={"name": "Ada"},
    )
    answer = patch(api, letter, **change)
    assert answer.status_code == 400, answer.content
    if field:
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    letter.refresh_from_db()
    assert (letter.address, letter.data) == ("", None)


def test_a_letter_of_a_phone_takes_a_phone(api: APIClient, agent: ApiClient) -> None:
    letter = letter_of(agent, delivery__channel=Channel.SMS, delivery__address="+14155550132")
    assert fields_of(patch(api, letter, to=PERSON)) == ["to"]
    assert patch(api, letter, to="+1 415 555 0199").json()["to"] == "+14155550199"


def test_what_the_batch_shares_need_not_be_repeated(api: APIClient, agent: ApiClient) -> None:
    content = {"email": {"subject": "{{ shop }}", "text": "Hi {{ name }}"}}
    batch = Batch.objects.create(client=agent, content=content, data={"shop": "Lamps"})
    letter = letter_of(
        agent,
        delivery__notification__batch=batch,
        delivery__notification__content=None,
        delivery__notification__data={"name": "Ada"},
    )
    assert patch(api, letter, data={"name": "Bob"}).status_code == 200
    assert fields_of(patch(api, letter, data={})) == ["data.name"]


def test_content_that_is_gone_cannot_take_data(api: APIClient, agent: ApiClient) -> None:
    letter = letter_of(agent, delivery__notification__content=None)
    assert fields_of(patch(api, letter, data={"name": "Ada"})) == ["data"]


# --- Sending again ---------------------------------------------------------------------------


def replay_many(api: APIClient, **body: Any) -> Any:
    answer = api.post(f"{URL}/replay", body, format="json")
    assert answer.status_code == 202, answer.content
    return answer.json()


def test_a_replay_is_a_new_delivery_of_the_same_message(api: APIClient, agent: ApiClient) -> None:
    letter = letter_of(agent, delivery__notification__priority=Lane.URGENT)
    answer = api.post(f"{URL}/{letter.id}/replay")
    assert answer.status_code == 202
    old, new = Delivery.objects.order_by("id")
    assert answer.json() == {
        "id": str(letter.id),
        "delivery_id": str(new.id),
        "notification_id": str(letter.delivery.notification_id),
        "status": "queued",
    }
    assert (old.state, new.state, new.replay_of) == ("dead", "queued", old)
    assert (new.address, new.address_hash) == (old.address, old.address_hash)
    work = Work.objects.get()
    assert (work.lane, work.channel, work.ids) == ("urgent", "email", [new.id])
    assert (work.client, work.batch, work.flow, work.held) == (agent, None, agent.id, False)
    event = Event.objects.get()
    assert (event.delivery, event.type, event.detail) == (old, "replayed", "by agent billing")
    shown = api.get(f"{URL}/{letter.id}").json()
    assert shown["replayed_as"] == str(new.id)
    assert shown["replayed_at"] is not None
    message = api.get(f"/api/v1/notifications/{new.notification_id}").json()
    assert message["status"] == "queued"
    assert [one["replay_of"] for one in message["deliveries"]] == [None, str(old.id)]


def test_what_was_replayed_is_neither_replayed_nor_edited_again(
    api: APIClient, agent: ApiClient
) -> None:
    letter = letter_of(agent)
    api.post(f"{URL}/{letter.id}/replay")
    assert problem(api.post(f"{URL}/{letter.id}/replay")) == (409, "already_replayed")
    assert problem(patch(api, letter, to=PERSON)) == (409, "already_replayed")
    assert Delivery.objects.count() == 2


def test_what_must_not_go_out_any_more_is_refused(api: APIClient, agent: ApiClient) -> None:
    past = timezone.now() - timedelta(seconds=1)
    stopped = Batch.objects.create(client=agent, state=Batch.State.CANCELLED)
    refused = {
        "message_expired": letter_of(agent, delivery__expires_at=past),
        "no_longer_dead": letter_of(agent, delivery__state=State.DELIVERED),
        "batch_stopped": letter_of(agent, delivery__notification__batch=stopped),
        "content_erased": letter_of(agent, delivery__notification__erased_at=past),
    }
    for code, letter in refused.items():
        assert problem(api.post(f"{URL}/{letter.id}/replay")) == (409, code)
        assert problem(patch(api, letter, to=PERSON, data={"name": "Bob"})) == (409, code)
        letter.refresh_from_db()
        assert (letter.address, letter.data) == ("", None)
    assert replay_many(api, filter={"since": "2020-01-01T00:00:00Z"}) == {
        "results": [],
        "remaining": 0,
    }
    assert not Work.objects.exists()
    assert not DeadLetter.objects.exclude(replayed_at=None).exists()


def test_many_are_replayed_by_id_each_with_its_result(api: APIClient, agent: ApiClient) -> None:
    good, spent = letter_of(agent), letter_of(agent, replayed_at=timezone.now())
    unknown = new_id()
    asked = [str(key) for key in (spent.id, unknown, good.id, good.id)]
    body = replay_many(api, ids=asked)
    assert [row["id"] for row in body["results"]] == asked[:3]
    assert [row["code"] for row in body["results"]] == ["already_replayed", "not_found", ""]
    assert body["results"][2]["delivery_id"] == str(
        Delivery.objects.get(replay_of=good.delivery).id
    )
    assert Work.objects.count() == 1


def test_many_are_replayed_by_filter_the_oldest_first(
    api: APIClient, agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LIMIT", 2)
    letters = [str(letter_of(agent, code="502").id) for _ in range(3)]
    other = letter_of(agent, code="429")
    first = replay_many(api, filter={"code": "502"})
    assert [row["id"] for row in first["results"]] == letters[:2]
    assert first["remaining"] == 1
    (chunk,) = Work.objects.values_list("ids", flat=True)
    assert len(chunk) == 2
    last = replay_many(api, filter={"code": "502"})
    assert ([row["id"] for row in last["results"]], last["remaining"]) == (letters[2:], 0)
    other.refresh_from_db()
    assert other.replayed_at is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": [], "filter": {"since": "2020-01-01T00:00:00Z"}}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["7"]}, "ids.0"),
        ({"ids": "all"}, "ids"),
        ({"ids": [str(UUID(int=n)) for n in range(501)]}, "ids"),
        ({"ids": [str(UUID(int=1))], "filter": {"since": "2020-01-01T00:00:00Z"}}, "ids"),
        ({"filter": []}, "filter"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"replayed": "false"}}, "filter.replayed"),
        ({"filter": {"template": "no-such"}}, "filter.template"),
        ({"everything": True}, "everything"),
    ],
)
def test_a_replay_of_many_says_exactly_which(
    api: APIClient, agent: ApiClient, body: dict[str, Any], field: str
) -> None:
    letter_of(agent)
    answer = api.post(f"{URL}/replay", body, format="json")
    assert answer.status_code == 400, answer.content
    found = [error["field"] for error in answer.json()["errors"]]
    assert any(name == field or name.startswith(f"{field}.") for name in found), found
    assert not Work.objects.exists()


def test_work_is_cut_by_lane_channel_and_batch_and_poison_goes_alone(
    api: APIClient, agent: ApiClient
) -> None:
    batch = Batch.objects.create(client=agent, state=Batch.State.DONE)
    for fields in (
        {},
        {},
        {"delivery__notification__priority": Lane.BULK},
        {"delivery__channel": Channel.SMS, "delivery__address": "+14155550132"},
        {"delivery__notification__batch": batch},
        {"code": replay.QUARANTINED},
        {"code": replay.QUARANTINED},
    ):
        letter_of(agent, **fields)
    assert len(replay_many(api, filter={"since": "2020-01-01T00:00:00Z"})["results"]) == 7
    assert sorted(len(row.ids) for row in Work.objects.all()) == [1, 1, 1, 1, 1, 2]
    of_batch = Work.objects.get(batch=batch)
    assert of_batch.flow == batch.id
    assert BatchDelta.objects.get().counts == {"queued": 1}


@pytest.mark.django_db(transaction=True)
def test_of_two_replays_at_the_same_time_one_wins(api: APIClient, agent: ApiClient) -> None:
    letters = [letter_of(agent) for _ in range(3)]
    keys = [letter.id for letter in letters]
    start = threading.Barrier(4)
    won: list[int] = []

    def race(order: list[UUID]) -> None:
        start.wait(timeout=30)
        try:
            results = replay.replay(DeadLetter.objects.all(), order, by="a race")
            won.append(sum(isinstance(result, Delivery) for result in results.values()))
        finally:
            connection.close()

    racers = [
        threading.Thread(target=race, args=[order])
        for order in (keys, keys[::-1], keys[:1], keys[1:])
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 4
    assert sum(won) == 3 == Delivery.objects.exclude(replay_of=None).count()
    assert sum(len(work.ids) for work in Work.objects.all()) == 3


def test_what_was_never_confirmed_is_sent_again_once(db: None) -> None:
    past = timezone.now() - timedelta(seconds=1)
    lost: Any = DeliveryFactory(state=State.UNCONFIRMED, provider="simulator", reason="no receipt")
    DeliveryFactory(state=State.UNCONFIRMED, expires_at=past)
    DeliveryFactory(state=State.SENT)
    assert replay.resend(Delivery.objects.all(), by="staff root") == 1
    assert replay.resend(Delivery.objects.all(), by="staff root") == 0
    new = Delivery.objects.get(replay_of=lost)
    assert Work.objects.get().ids == [new.id]
    letter = DeadLetter.objects.get()
    assert (letter.delivery, letter.code) == (lost, "unconfirmed")
    assert (letter.error_class, letter.providers) == ("ambiguous", ["simulator"])
    assert Event.objects.get().detail == "by staff root"


# --- To the end, over the wire ---------------------------------------------------------------


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmailWorld]:
    quick = replace(retry.POLICIES[Lane.NORMAL], rounds=2)
    monkeypatch.setitem(retry.POLICIES, Lane.NORMAL, quick)
    with email_world() as world:
        yield world


def refuse(world: EmailWorld) -> None:
    for server in (world.sendgrid, world.ses, world.smtp):
        server.refuse()


def until_dead() -> DeadLetter:
    for _ in range(40):
        make_everything_due()
        ProviderState.objects.update(opened_until=None, failures=0)
        if not drain():
            break
    return DeadLetter.objects.get(replayed_at=None)


def mend(world: EmailWorld) -> None:
    for server in (world.sendgrid, world.ses, world.smtp):
        server.accept()
    ProviderState.objects.update(opened_until=None, failures=0)


def send(api: APIClient, key: str = "order-7", **fields: Any) -> Any:
    body = {
        "to": {"email": "ada@example.org"},
        "content": {"subject": "Hello {{ name }}", "text": "It works."},
        "data": {"name": "Ada"},
        **fields,
    }
    return api.post("/api/v1/notifications", body, format="json", headers={"Idempotency-Key": key})


def status_of(api: APIClient, message_id: str) -> str:
    return str(api.get(f"/api/v1/notifications/{message_id}").json()["status"])


def test_a_replay_delivers_under_the_original_key(api: APIClient, world: EmailWorld) -> None:
    refuse(world)
    accepted = send(api)
    message_id = accepted.json()["id"]
    letter = until_dead()
    assert status_of(api, message_id) == "dead"
    mend(world)

    api.post(f"{URL}/{letter.id}/replay")
    assert status_of(api, message_id) == "queued"
    drain()

    assert status_of(api, message_id) == "sent"
    assert sum(world.taken().values()) == 1
    again = send(api)
    assert again.json() == accepted.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Notification.objects.count() == 1
    assert [*audit.findings()] == []


def test_edited_address_and_data_go_out_and_the_past_stays(
    api: APIClient, world: EmailWorld
) -> None:
    refuse(world)
    message_id = send(api).json()["id"]
    letter = until_dead()
    mend(world)

    patch(api, letter, to="bob@example.org", data={"name": "Bob"})
    api.post(f"{URL}/{letter.id}/replay")
    drain()

    (mail,) = world.sendgrid.messages
    assert (mail.recipient, mail.subject) == ("bob@example.org", "Hello Bob")
    old, new = Delivery.objects.order_by("id")
    assert (old.address, old.state) == ("ada@example.org", "dead")
    assert (new.address, new.state) == ("bob@example.org", "sent")
    assert Notification.objects.get(id=message_id).data == {"name": "Ada"}
    detail = Event.objects.get(type="replayed").detail
    assert detail == "by agent billing, to another address, with other data"


def test_a_replay_that_dies_too_says_again_what_it_said(api: APIClient, world: EmailWorld) -> None:
    refuse(world)
    send(api)
    first = until_dead()
    patch(api, first, data={"name": "Bob"})
    api.post(f"{URL}/{first.id}/replay")
    second = until_dead()
    assert second != first
    assert api.get(f"{URL}/{second.id}").json()["data"] == {"name": "Bob"}
    mend(world)

    api.post(f"{URL}/{second.id}/replay")
    drain()
    (mail,) = world.sendgrid.messages
    assert mail.subject == "Hello Bob"


def test_a_replay_stays_in_its_batch(api: APIClient, agent: ApiClient, world: EmailWorld) -> None:
    content = {"email": {"subject": "{{ shop }} for {{ name }}", "text": "It works."}}
    batch = Batch.objects.create(
        client=agent, state=Batch.State.PAUSED, content=content, data={"shop": "Lamps"}
    )
    letter = letter_of(
        agent,
        delivery__notification__batch=batch,
        delivery__notification__content=None,
        delivery__notification__data={"name": "Ada"},
    )
    patch(api, letter, data={"name": "Bob"})
    api.post(f"{URL}/{letter.id}/replay")
    drain()
    assert Work.objects.get().held

    Batch.objects.update(state=Batch.State.RUNNING)
    Work.objects.update(held=False)
    drain()
    (mail,) = world.sendgrid.messages
    assert mail.subject == "Lamps for Bob"
    moved: Counter[str] = Counter()
    for delta in BatchDelta.objects.all():
        moved.update(delta.counts)
    assert +moved == {"sent": 1}


def test_an_address_that_is_suppressed_since_gets_nothing(
    api: APIClient, world: EmailWorld
) -> None:
    refuse(world)
    message_id = send(api).json()["id"]
    letter = until_dead()
    mend(world)
    SuppressionFactory(address="ada@example.org")

    assert api.post(f"{URL}/{letter.id}/replay").status_code == 202
    drain()
    assert sum(world.taken().values()) == 0
    assert Delivery.objects.get(replay_of=letter.delivery).state == "suppressed"
    assert status_of(api, message_id) == "dead"
