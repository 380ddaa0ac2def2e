"""One person's data: everything is told, and after the erasure it is nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.ids import new_id
from commsproject.common.live.people import Kind
from commsproject.common.live.people import Person as Connected
from commsproject.common.live.presence import store
from commsproject.common.live.presence.store import Doing
from commsproject.common.models import (
    Alert,
    ApiClient,
    ApiKey,
    LastSeen,
    OutboxEvent,
    PersonalDataJob,
)
from commsproject.common.personal_data import registry, work
from commsproject.common.personal_data.registry import Erased, Person
from conversations.models import Entry, Participant
from notifications.models import (
    Attempt,
    DeadLetter,
    Delivery,
    InboxItem,
    Notification,
    Recipient,
    Schedule,
    SimulatedMessage,
    Suppression,
    Work,
)
from notifications.services import audit
from notifications.states import State
from tests.engine import drain
from tests.factories import AttemptFactory
from tests.integration.conversations import people
from tests.integration.test_webhooks_in import report, tell
from tracking.models import (
    InboundMessage,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookReceipt,
)

pytestmark = pytest.mark.django_db
V1 = "/api/v1"

CANARY = "kanarienvogel77"
USER = f"{CANARY}-user"
EMAIL = f"{CANARY}@simulator.test"
OLD_EMAIL = f"{CANARY}.old@simulator.test"
PHONE = "+4915177001122"
NEEDLES = [CANARY, PHONE[1:], base64.b64encode(CANARY.encode() * 3).decode()[4:20]]
OTHER = "u-other"


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": storage}
    return tmp_path


def call(api: APIClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    answer = getattr(api, method)(V1 + path, body, format="json", headers=headers)
    assert answer.status_code < 300, (path, answer.content)
    return answer.json() if answer.content else None


def finish() -> None:
    """What was asked for, waiting times included."""
    for _ in range(500):
        PersonalDataJob.objects.update(due_at=timezone.now())
        if not work.step():
            return
        assert not list(PersonalDataJob.objects.exclude(error="").values_list("part", "error"))
    raise AssertionError("the work does not end")


# --- Where a person leaves traces ------------------------------------------------------------


def leave_traces(api: APIClient) -> None:
    """The canary in whatever an agent, a provider or the person can write."""
    known(api)
    messages(api)
    provider_reports()
    conversations(api)
    ours()


def known(api: APIClient) -> None:
    call(api, "post", "/topics", {"key": "notes", "name": "Notes"})
    call(api, "post", "/categories", {"key": "news", "name": "News", "kind": "marketing"})
    about = {
        "emails": [OLD_EMAIL, EMAIL],
        "phones": [PHONE],
        "data": {"nickname": CANARY},
        "topics": ["notes"],
        "locale": "de",
    }
    call(api, "put", f"/recipients/{USER}", about)
    call(api, "put", f"/recipients/{OTHER}", {"emails": ["other@simulator.test"]})
    choices = {
        "preferences": [{"category": "news", "channel": "email", "is_on": True}],
        "proof": {"form": CANARY},
    }
    call(api, "put", f"/recipients/{USER}/preferences", choices)
    listed = {"channel": "sms", "address": PHONE, "scope": "news"}
    entry = call(api, "post", "/suppressions", listed)["id"]
    call(api, "delete", f"/suppressions/{entry}?why={CANARY} has asked for it")
    quiet = {"periods": [{"start": "22:00", "end": "07:00"}]}
    call(api, "put", f"/recipients/{USER}/quiet-hours", quiet)
    device = {"platform": "fcm", "token": f"{CANARY}:APA91bF-a-token", "name": f"{CANARY}'s phone"}
    call(api, "post", f"/recipients/{USER}/devices", device)
    announcement = {"title": "Hello", "to": {"user_ids": [USER, OTHER]}}
    call(api, "post", "/announcements", announcement)


def message(**more: Any) -> dict[str, Any]:
    return {
        "to": {"user_id": USER},
        "content": {"subject": f"Hello {CANARY}", "text": f"{{{{ name }}}} {CANARY}"},
        "data": {"name": CANARY},
        "tags": [CANARY],
        "metadata": {"note": CANARY},
        "reply_to": f"help+{CANARY}@example.com",
        **more,
    }


def messages(api: APIClient) -> None:
    """Sent on every channel, to an address alone, waiting, given up, refused in a batch, planned."""
    file = {"filename": f"{CANARY}.txt", "content": base64.b64encode(CANARY.encode() * 3).decode()}
    actions = [{"key": "yes", "label": CANARY}]
    key = {"Idempotency-Key": f"order-{CANARY}"}
    everywhere = message(
        channels=["email", "sms", "inapp", "push"], reference=CANARY, actions=actions
    )
    call(api, "post", "/notifications", everywhere, **key)
    call(api, "post", "/notifications", message(channels=["email"], attachments=[file]))
    call(api, "post", "/notifications", message(to={"email": EMAIL}))
    call(api, "post", "/notifications", message(to={"user_id": USER, "email": f"new.{EMAIL}"}))
    drain()
    later = (timezone.now() + timedelta(days=200)).isoformat()
    call(api, "post", "/notifications", message(send_at=later))
    rows = [
        {"to": {"user_id": USER}, "data": {"name": CANARY}, "reference": CANARY},
        {"to": {"email": "no address"}, "reference": USER},
        {"to": {"user_id": OTHER}, "data": {"name": "Other"}},
    ]
    content = {"subject": "Hello", "text": "{{ name }}"}
    call(api, "post", "/batches", {"rows": rows, "content": content})
    once = {"name": CANARY, "cron": "0 9 * * 1", "notification": message()}
    call(api, "post", "/schedules", once)
    many = {"rows": [rows[0], rows[2]], "content": content}
    call(api, "post", "/schedules", {"name": "weekly", "cron": "0 9 * * 1", "batch": many})
    dead = Delivery.objects.filter(state=State.SENT, channel="email")[0]
    Delivery.objects.filter(id=dead.id).update(state=State.DEAD, reason=f"550 <{EMAIL}> unknown")
    DeadLetter.objects.create(
        delivery=dead, reason=f"550 <{EMAIL}>", address=EMAIL, data={"name": CANARY}
    )


def provider_reports() -> None:
    """Bounces with words of the receiving side, an answer by text message, and the raw webhooks."""
    attempt = Attempt.objects.filter(delivery__address=EMAIL).exclude(delivery__state=State.DEAD)[0]
    Attempt.objects.filter(id=attempt.id).update(detail=f"250 {EMAIL} ok")
    tell(report(attempt.id, "bounced", detail=f"no such user {EMAIL}", permanent=True))
    tell(report(attempt.id, "opened", data={"ip": CANARY}))
    WebhookReceipt.objects.create(
        provider="twilio",
        dedupe="0" * 64,
        path=f"/webhooks/twilio/inbound/?to={CANARY}",
        body=f"From=%2B{PHONE[1:]}&Body=I+am+{CANARY}".encode(),
    )
    endpoint = WebhookEndpoint.objects.create(url="https://hooks.example.org")
    told = WebhookDelivery.objects.create(
        endpoint=endpoint,
        event_id="1",
        type="notification.sent",
        body=json.dumps({"user_id": USER}),
    )
    WebhookAttempt.objects.create(delivery=told, number=1, latency_ms=3, answer=f"Hello {CANARY}")
    InboundMessage.objects.create(
        provider="twilio",
        dedupe=CANARY,
        channel="sms",
        sender=PHONE,
        sender_hash=Delivery.objects.filter(address=PHONE)[0].address_hash,
        to="+15005550006",
        subject=CANARY,
        text=f"I am {CANARY}",
        at=timezone.now(),
    )


def conversations(api: APIClient) -> None:
    me, other = people.person(USER), people.person(OTHER)
    chat = people.start(me, "group", OTHER, "u-third")
    first = people.write(me, chat, f"I am {CANARY}", client_id=CANARY)
    people.call(me, "patch", f"/{chat['id']}/entries/{first['id']}", {"body": f"I was {CANARY}"})
    theirs = people.write(other, chat, "Welcome!", mentions=[USER])
    reaction = {"entry": theirs["id"], "emoji": "👍"}
    people.call(me, "post", f"/{chat['id']}/reactions", reaction)
    direct = people.start(me, "direct", OTHER)
    file = SimpleUploadedFile(f"{CANARY}.txt", f"Dear {CANARY}".encode(), "text/plain")
    sent = me.post(
        f"{people.V1}/{direct['id']}/attachments", {"file": file}, format="multipart"
    ).json()
    people.write(me, direct, "A file", attachments=[sent["id"]])
    people.write(other, direct, "Thank you!")
    support = people.start(me, "support")
    people.write(me, support, f"Where is the order of {CANARY}?")
    store.write([_arrival(USER), _arrival(OTHER)])
    LastSeen.objects.create(user_id=USER, seen_at=timezone.now())


def _arrival(user_id: str) -> store.Change:
    return store.Change(Connected(Kind.USER, user_id), new_id().hex, None, Doing())


def ours() -> None:
    """What staff did, and an event that nobody has fetched."""
    staff = User.objects.create_user("staff")
    row = Recipient.objects.get(user_id=USER)
    kind = ContentType.objects.get_for_model(Recipient)
    for name, said in {str(row): "Asked for an export.", f"For {EMAIL}": f"From {EMAIL}"}.items():
        LogEntry.objects.create(
            user=staff,
            content_type=kind,
            object_id=str(row.pk),
            object_repr=name,
            change_message=said,
            action_flag=CHANGE,
        )
    OutboxEvent.objects.create(
        type="tests.event", items=[{"user_id": USER, "n": 1}, {"user_id": OTHER}]
    )


# --- Where they are looked for ---------------------------------------------------------------


def found_in_tables() -> set[str]:
    """Every table with a row that has a needle in any column, bytes in their hexadecimal form."""
    needles = [*NEEDLES, *(needle.encode().hex() for needle in NEEDLES)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = set()
        for table in tables:
            cursor.execute(
                f'SELECT EXISTS (SELECT FROM "{table}" AS whole WHERE whole::text ILIKE ANY (%s))',
                [[f"%{needle}%" for needle in needles]],
            )
            if cursor.fetchone()[0]:
                found.add(table)
    return found


def found_in_files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(needle.encode() in path.read_bytes() for needle in NEEDLES)
    ]


def found_in_valkey(patient: redis.Redis) -> list[bytes]:
    return [key for key in patient.scan_iter() if CANARY.encode() in key + _value(patient, key)]


def _value(patient: Any, key: bytes) -> bytes:
    readers = {
        b"string": lambda: patient.get(key),
        b"hash": lambda: patient.hgetall(key),
        b"list": lambda: patient.lrange(key, 0, -1),
        b"set": lambda: patient.smembers(key),
        b"zset": lambda: patient.zrange(key, 0, -1),
        b"stream": lambda: patient.xrange(key),
    }
    kind: Any = patient.type(key)
    return repr(readers[kind]()).encode()


@pytest.fixture
def valkey(settings: Any) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as patient:
        yield patient


# --- The tests -------------------------------------------------------------------------------


def test_after_the_erasure_nothing_is_left_anywhere(
    api: APIClient, files: Path, valkey: redis.Redis
) -> None:
    leave_traces(api)
    for user_id in (USER, OTHER):
        valkey.xadd("comms:events", {"event": json.dumps({"data": {"user_id": user_id}})})
    before = found_in_tables()
    assert {"notifications_notification", "tracking_webhookreceipt", "conversations_entry"} < before
    assert len(before) > 20
    assert found_in_files(files)
    assert found_in_valkey(valkey)
    assert call(api, "get", f"/recipients/{USER}/export")["state"] == "running"
    finish()
    hashes = set(Delivery.objects.values_list("address_hash", flat=True))
    counts = Notification.objects.count(), Delivery.objects.count(), Attempt.objects.count()

    begun = api.delete(f"{V1}/recipients/{USER}")
    assert (begun.status_code, begun.json()["state"]) == (202, "running")
    assert api.delete(f"{V1}/recipients/{USER}").json()["id"] == begun.json()["id"]
    finish()

    assert found_in_tables() == set()
    assert found_in_files(files) == []
    assert found_in_valkey(valkey) == []
    assert b"u-other" in repr(valkey.xrange("comms:events")).encode()
    receipt = call(api, "get", f"/recipients/{USER}/erasure")
    assert (receipt["state"], receipt["progress"]) == ("done", 100)
    assert receipt["counts"]["messages"] == 6
    again = api.delete(f"{V1}/recipients/{USER}")
    assert (again.status_code, again.json()) == (200, receipt)
    # What stays: how many there were, to whom in hashes, and other people's own.
    assert (Notification.objects.count(), Delivery.objects.count(), Attempt.objects.count()) == (
        counts
    )
    assert set(Delivery.objects.values_list("address_hash", flat=True)) == hashes
    assert not Delivery.objects.filter(notification__erased_at=None, address="").exists()
    assert list(audit.findings()) == []
    drain()
    assert not SimulatedMessage.objects.exclude(address="other@simulator.test").exists()


def test_others_keep_what_is_theirs(api: APIClient) -> None:
    leave_traces(api)
    api.delete(f"{V1}/recipients/{USER}")
    finish()
    other = people.person(OTHER)
    chat = Participant.objects.get(person_id="u-third").conversation_id
    listed = people.read(other, {"id": chat})["results"]
    said = {entry["body"]: entry for entry in listed if entry["kind"] == "text"}
    nobody = registry.pseudonym(USER)
    assert said["Welcome!"]["mentions"] == [nobody]
    assert said["Welcome!"]["reactions"] == []
    assert said[""]["author"] == {"kind": "user", "id": nobody}
    assert said[""]["deleted_at"] is not None
    direct = Entry.objects.get(body="Thank you!")
    assert direct.person_id == OTHER
    (weekly,) = Schedule.objects.all()
    assert [row["to"]["user_id"] for row in weekly.request["rows"]] == [OTHER]
    assert OutboxEvent.objects.get(type="tests.event").items == [
        {"user_id": nobody, "n": 1},
        {"user_id": OTHER},
    ]
    waiting = Notification.objects.filter(recipient__user_id=OTHER)
    assert [row.data for row in waiting] == [{"name": "Other"}]


def test_a_mailbox_of_two_people_stays_the_others_however_it_is_written(api: APIClient) -> None:
    shared = f"Family.{EMAIL}"
    call(api, "put", f"/recipients/{USER}", {"emails": [shared]})
    call(api, "put", f"/recipients/{OTHER}", {"emails": [shared.lower()]})
    call(api, "post", "/suppressions", {"channel": "email", "address": shared})
    call(api, "post", "/notifications", message(to={"email": shared}))
    api.delete(f"{V1}/recipients/{USER}")
    finish()
    assert not Recipient.objects.filter(user_id=USER).exists()
    assert Delivery.objects.get().address == shared
    assert Suppression.objects.get().address == shared


def test_an_export_tells_everything_to_the_agent_that_asked(api: APIClient) -> None:
    leave_traces(api)
    finish_url = f"{V1}/recipients/{USER}/export"
    begun = api.get(finish_url)
    assert (begun.status_code, begun.headers["Retry-After"]) == (202, "2")
    finish()
    answer: Any = api.get(finish_url)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    about, *rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert {row["what"] for row in rows} == registry.exports().keys() - {"digest"}
    assert about["user_id"] == USER
    assert about["rows"]["message"] == 6
    planned = {row["name"]: row["request"] for row in rows if row["what"] == "schedule"}
    assert planned[CANARY]["data"] == {"name": CANARY}
    assert [row["to"] for row in planned["weekly"]["rows"]] == [{"user_id": USER}]
    (lifted,) = (row for row in rows if row["what"] == "lifted suppression")
    assert (lifted["reason"], lifted["why"]) == ("manual", f"{CANARY} has asked for it")
    sent = next(row for row in rows if row["what"] == "message" and row["reference"] == CANARY)
    email = next(one for one in sent["deliveries"] if one["channel"] == "email")
    assert email["said"]["text"] == f"{CANARY} {CANARY}"
    assert [one["state"] for one in email["attempts"]] == ["accepted"]
    text = json.dumps(rows)
    assert "APA91bF" not in text  # a token opens a door, and says nothing
    assert "other@simulator.test" not in text

    # Another agent, or an end user, gets nothing of this document.
    stranger = APIClient()
    _, secret = _key(ApiClient.objects.create(name="stranger"))
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert stranger.get(finish_url).status_code == 202
    assert people.person(USER).get(finish_url).status_code == 403
    assert api.get(f"{V1}/recipients/nobody/export").status_code == 404
    assert api.delete(f"{V1}/recipients/nobody").status_code == 404
    assert api.get(f"{V1}/recipients/nobody/erasure").status_code == 404


def _key(client: ApiClient) -> tuple[ApiKey, str]:
    from commsproject.common.identity import keys

    return keys.issue(client, ["audience:read"])


def test_a_message_that_a_provider_has_now_is_waited_for(api: APIClient) -> None:
    call(api, "put", f"/recipients/{USER}", {"emails": [EMAIL]})
    call(api, "post", "/notifications", message(channels=["email"]))
    delivery = Delivery.objects.get()
    Delivery.objects.filter(id=delivery.id).update(state=State.SENDING)
    attempt = AttemptFactory.create(delivery=delivery, state=Attempt.State.CALLING)
    api.delete(f"{V1}/recipients/{USER}")
    for _ in range(30):
        work.step()
    job = PersonalDataJob.objects.get()
    assert job.part == "messages"
    assert job.due_at > timezone.now()
    assert Delivery.objects.get().address == EMAIL
    Attempt.objects.filter(id=attempt.id).update(state=Attempt.State.FAILED)
    Delivery.objects.update(state=State.QUEUED, attempts_made=1)
    finish()
    assert Delivery.objects.get().state == State.CANCELLED
    assert Delivery.objects.get().address == ""
    assert Work.objects.count() == 1  # it names what a window no longer takes
    drain()
    assert list(audit.findings()) == []


def test_a_message_accepted_meanwhile_is_found_too(api: APIClient) -> None:
    call(api, "put", f"/recipients/{USER}", {"emails": [EMAIL]})
    gone = Recipient.objects.get().id
    api.delete(f"{V1}/recipients/{USER}")
    while PersonalDataJob.objects.get().after != "waited":
        assert work.step()
    assert not Recipient.objects.exists()
    assert not work.step()  # it waits for requests that had found the person
    late = Notification.objects.create(
        client=ApiClient.objects.get(), recipient_id=gone, content={"email": {"text": CANARY}}
    )
    Delivery.objects.create(
        notification=late, channel="email", address=EMAIL, address_hash="x", state=State.SENT
    )
    finish()
    late.refresh_from_db()
    assert (late.recipient_id, late.content) == (None, None)


def test_a_step_that_fails_is_repeated_and_told_and_nothing_is_done_twice(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(api, "put", f"/recipients/{USER}", {"emails": [EMAIL]})
    done: list[str] = []

    def part(person: Person, after: str) -> Erased:
        assert person.user_id == USER
        if after == "2" and len(done) < 8:
            done.append("failed")
            Recipient.objects.all().delete()  # undone with the step
            raise RuntimeError("out of luck")
        done.append(after)
        return Erased(10, str(len(done)) if len(done) < 3 else "")

    monkeypatch.setattr(registry, "erasures", lambda: {"first": part})
    api.delete(f"{V1}/recipients/{USER}")
    work.step()
    work.step()
    for _ in range(6):
        PersonalDataJob.objects.update(due_at=timezone.now())
        assert work.step()
    job = PersonalDataJob.objects.get()
    assert (job.tries, job.error, job.counts) == (6, "RuntimeError", {"first": 20})
    assert job.due_at > timezone.now() + timedelta(seconds=50)
    assert Recipient.objects.exists()
    (alert,) = Alert.objects.filter(resolved_at=None)
    assert USER not in alert.title + alert.detail
    finish()
    job.refresh_from_db()
    assert (job.state, job.counts, job.user_id, job.names) == ("done", {"first": 30}, "", [])
    assert done.count("2") == 1
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_who_is_known_only_from_conversations_can_be_erased(api: APIClient) -> None:
    me = people.person(USER)
    people.write(me, people.start(me, "direct", OTHER), f"I am {CANARY}")
    assert api.delete(f"{V1}/recipients/{USER}").status_code == 202
    finish()
    assert not found_in_tables()
    assert not InboxItem.objects.exists()
