"""Batches through the API: rows in three forms, results, moves, canary, and what goes wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications import queue
from notifications.api import rows as reading
from notifications.api.batch_input import BatchInput
from notifications.api.input import NotificationInput
from notifications.errors import UploadStopped
from notifications.models import (
    Address,
    Batch,
    BatchDelta,
    BatchRejection,
    DeadLetter,
    Delivery,
    Event,
    Notification,
    SimulatedMessage,
    Work,
)
from notifications.services import audit, batches, bulk
from notifications.services.asked import Row
from notifications.states import State
from notifications.types import Lane, Sent
from tests.documents import ROOT, fences
from tests.engine import drain, make_everything_due
from tests.factories import (
    AddressFactory,
    ApiClientFactory,
    CategoryFactory,
    SuppressionFactory,
    TemplateVersionFactory,
)
from tests.integration import test_docs as docs
from tests.scripted import entry, scripted, temporary, unanswered
from tests.walk import each

pytestmark = pytest.mark.django_db

URL = "/api/v1/batches"
TEXT = {"subject": "News", "text": "Hello {{ name }} of {{ team }}."}
NDJSON, CSV = "application/x-ndjson", "text/csv"


def rows(count: int, **data: Any) -> list[dict[str, Any]]:
    return [
        {"to": {"email": f"p{n}@example.com"}, "data": {"name": f"P{n}", **data}}
        for n in range(1, count + 1)
    ]


def send(api: APIClient, count: int = 3, key: str = "", **fields: Any) -> dict[str, Any]:
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(count), **fields}
    headers = {"Idempotency-Key": key} if key else {}
    answer = api.post(URL, body, format="json", headers=headers)
    assert answer.status_code == 202, answer.content
    found: dict[str, Any] = answer.json()
    return found


def get(api: APIClient, batch: dict[str, Any]) -> dict[str, Any]:
    answer = api.get(f"{URL}/{batch['id']}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def act(api: APIClient, batch: dict[str, Any], action: str) -> dict[str, Any]:
    answer = api.post(f"{URL}/{batch['id']}/{action}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def tend() -> None:
    batches.fold_counts()
    batches.tend()


def assert_refused(answer: Any, status: int, code: str, field: str | None = None) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    if field is not None:
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def assert_nothing_is_left(batch_id: Any = None) -> None:
    for model in (Notification, Delivery, Work, Event, BatchRejection, BatchDelta, IdempotencyKey):
        assert not model._default_manager.exists(), model


# --- Three ways in -----------------------------------------------------------------------------


def test_a_batch_goes_out_with_its_own_data_over_the_shared(api):
    batch = send(
        api,
        rows=[
            {"to": {"email": "ada@example.com"}, "data": {"name": "Ada"}, "reference": "r-1"},
            {"to": {"email": "bob@example.com"}, "data": {"name": "Bob", "team": "B"}},
        ],
        reference="campaign",
        tags=["news"],
        metadata={"issue": "7"},
        agent_id="shop",
    )
    assert (batch["state"], batch["received"], batch["accepted"]) == ("running", 2, 2)
    assert batch["counts"] == {"queued": 2}
    assert batch["progress"] == 0.0
    stored = list(Notification.objects.order_by("row").values("row", "data", "content", "tags"))
    assert stored[0] == {"row": 1, "data": {"name": "Ada"}, "content": None, "tags": ["news"]}
    assert drain(Lane.BULK) == 1
    tend()
    texts = {row.address: row.parts["text"] for row in SimulatedMessage.objects.all()}
    assert texts == {
        "ada@example.com": "Hello Ada of T.",
        "bob@example.com": "Hello Bob of B.",
    }
    batch = get(api, batch)
    assert (batch["state"], batch["progress"]) == ("done", 1.0)
    assert batch["counts"] == {"sent": 2}
    assert batch["finished_at"] is not None
    assert not BatchDelta.objects.exists()


def test_inline_content_without_any_data_is_literal(api):
    body = {"content": {"subject": "S", "text": "{{ x"}, "rows": [{"to": {"email": "a@b.de"}}]}
    assert api.post(URL, body, format="json").status_code == 202
    drain(Lane.BULK)
    assert SimulatedMessage.objects.get().parts["text"] == "{{ x"


def test_ndjson_and_csv_say_the_same_as_json(api):
    TemplateVersionFactory.create(template__key="welcome")
    ndjson = b'{"to":{"email":"a@example.com"},"data":{"name":"A"},"reference":"1"}\n'
    as_csv = "email,name,reference\na@example.com,A,1\n"
    query = "?template=welcome&priority=normal&tags=a,b&metadata=%7B%22k%22%3A%22v%22%7D"
    for content, kind in ((ndjson, NDJSON), (as_csv, f"{CSV}; charset=utf-8")):
        answer = api.post(URL + query, content, content_type=kind)
        assert answer.status_code == 202, answer.content
    body = {
        "template": "welcome",
        "priority": "normal",
        "tags": ["a", "b"],
        "metadata": {"k": "v"},
        "rows": [{"to": {"email": "a@example.com"}, "data": {"name": "A"}, "reference": "1"}],
    }
    assert api.post(URL, body, format="json").status_code == 202
    fields = ("row", "data", "reference", "priority", "tags", "metadata", "template_version_id")
    assert len({str(row) for row in Notification.objects.values(*fields)}) == 1
    assert drain(Lane.NORMAL) == 3


def test_a_whole_upload_of_several_commits(api, monkeypatch):
    monkeypatch.setattr(bulk, "ROWS", 10)
    batch = send(api, 25)
    assert (batch["received"], batch["counts"]) == (25, {"queued": 25})
    listed = api.get(f"{URL}/{batch['id']}/results?limit=200").json()["results"]
    assert [row["number"] for row in listed] == list(range(1, 26))
    by_key = Notification.objects.order_by("id").values_list("row", flat=True)
    assert list(by_key) == list(range(1, 26))
    assert drain(Lane.BULK) == 3


def test_people_are_found_by_user_id_and_remembered(api):
    AddressFactory.create(recipient__user_id="u-1", value="known@example.com")
    batch = send(
        api,
        rows=[
            {"to": {"user_id": "u-1"}, "data": {"name": "x"}},
            {"to": {"user_id": "u-2", "email": "new@example.com"}, "data": {"name": "y"}},
            {"to": {"user_id": "u-3"}, "data": {"name": "z"}},
        ],
    )
    assert (batch["accepted"], batch["rejected"]) == (2, 1)
    assert set(Delivery.objects.values_list("address", flat=True)) == {
        "known@example.com",
        "new@example.com",
    }
    assert Address.objects.get(recipient__user_id="u-2").value == "new@example.com"
    assert set(Notification.objects.values_list("recipient__user_id", flat=True)) == {"u-1", "u-2"}


def test_who_may_not_be_written_to_is_accepted_and_says_why(api):
    SuppressionFactory.create(address="p1@example.com")
    batch = send(api, 2)
    assert batch["counts"] == {"queued": 1, "suppressed": 1}
    assert batch["progress"] == 0.5
    (first, _) = api.get(f"{URL}/{batch['id']}/results").json()["results"]
    assert first["deliveries"][0]["reason"] == "the address was suppressed by staff"
    assert Event.objects.filter(type="suppressed").count() == 1


# --- Rows that are wrong -----------------------------------------------------------------------


def test_a_wrong_row_is_counted_listed_and_stops_no_other(api):
    good = {"to": {"email": "a@example.com"}, "data": {"name": "A"}}
    batch = send(
        api,
        rows=[
            good,
            {"to": {"email": "nobody"}, "reference": "r-2"},
            {"to": {"email": "b@example.com"}},  # no name
            {"to": {"phone": "+16502530000"}, "data": {"name": "C"}},
            5,
            good,  # again
            {**good, "reference": "another order"},
        ],
        content={"subject": "S", "html": "<p>{{ name }}</p>"},
    )
    assert (batch["received"], batch["accepted"], batch["rejected"]) == (7, 2, 5)
    page = api.get(f"{URL}/{batch['id']}/results").json()
    assert (page["next"], page["previous"]) == (None, None)
    assert [row["number"] for row in page["results"]] == [1, 2, 3, 4, 5, 6, 7]
    told = {
        row["number"]: (row["reference"], row["errors"][0]["field"], row["errors"][0]["code"])
        for row in page["results"]
        if row["status"] == "rejected"
    }
    assert told == {
        2: ("r-2", "to.email", "bad_address"),
        3: ("", "data.name", "missing_variable"),
        4: ("", "channels", "no_channel"),
        5: ("", "", "not_an_object"),
        6: ("", "", "duplicate"),
    }


def test_a_batch_of_wrong_rows_only_is_done_at_once(api):
    batch = send(api, rows=[{"to": {}}])
    tend()
    batch = get(api, batch)
    assert (batch["state"], batch["progress"], batch["counts"]) == ("done", 1.0, {})


# --- Requests that are wrong as a whole --------------------------------------------------------


@each(
    ("fields", "field"),
    [
        ({"rows": None}, "rows"),
        ({"rows": []}, "rows"),
        ({"rows": {"to": {}}}, "rows"),
        ({"content": None}, "template"),
        ({"content": {}}, "content"),
        ({"content": {"subject": "S"}}, "content"),
        ({"template": "welcome"}, "template"),
        ({"nonsense": 1}, "nonsense"),
        ({"to": {"email": "a@b.de"}}, "to"),
        ({"dry_run": True}, "dry_run"),
        ({"category": "none"}, "category"),
        ({"channels": ["sms"], "content": {"subject": "S", "html": "<p>H</p>"}}, "channels.0"),
        ({"channels": ["pigeon"]}, "channels.0"),
        ({"priority": "soon"}, "priority"),
        ({"send_at": "soon"}, "send_at"),
        ({"send_at": "2100-01-01T00:00:00Z"}, "send_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"pace": 0}, "pace"),
        ({"pace": "5"}, "pace"),
        ({"pace": True}, "pace"),
        ({"approval": "yes"}, "approval"),
        ({"canary": {"percent": 1, "wait": 1}}, "canary.max_failures"),
        ({"canary": {"percent": 0, "wait": 1, "max_failures": 1}}, "canary.percent"),
        ({"canary": {"percent": 100, "wait": 1, "max_failures": 1}}, "canary.percent"),
        ({"canary": {"percent": 1, "wait": -1, "max_failures": 1}}, "canary.wait"),
        ({"canary": {"percent": 1, "wait": 1, "max_failures": 101}}, "canary.max_failures"),
        ({"canary": {"percent": 1, "wait": 1, "max_failures": 1, "x": 1}}, "canary.x"),
        ({"canary": []}, "canary"),
    ],
)
def test_a_request_that_is_wrong_as_a_whole_is_refused(api, fields, field):
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(1), **fields}
    body = {name: value for name, value in body.items() if value is not None}
    answer = api.post(URL, body, format="json", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 400, answer.content
    fields_named = [error["field"] for error in answer.json()["errors"]]
    assert any(name.startswith(field) for name in fields_named), answer.json()
    assert not Batch.objects.exists()
    assert_nothing_is_left()


@pytest.mark.parametrize("body", [[], 5, "x", None])
def test_a_body_that_is_no_object_is_refused(api, body):
    assert_refused(api.post(URL, body, format="json"), 400, "invalid")


def test_an_unknown_template_is_refused_before_a_row_is_read(api):
    answer = api.post(f"{URL}?template=none", "email\na@b.de", content_type=CSV)
    assert_refused(answer, 400, "invalid", "template")
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "template"),
        ("?content=%7B", "content"),
        ("?content=5", "content"),
        ("?content=%7B%22text%22%3A%22x%22%7D&data=NaN", "data"),
        ("?content=%7B%22text%22%3A%22x%22%7D&data=%22%5Cu0000%22", "data"),
        ("?content=%7B%22text%22%3A%22x%22%7D&pace=fast", "pace"),
        ("?content=%7B%22text%22%3A%22x%22%7D&pace=1&pace=2", "pace"),
        ("?content=%7B%22text%22%3A%22x%22%7D&approval=1", "approval"),
        ("?content=%7B%22text%22%3A%22x%22%7D&rows=x", "rows"),
        ("?content=%7B%22text%22%3A%22x%22%7D&agent_id=%00", "agent_id"),
        ("?content=%7B%22text%22%3A%22x%22%7D&tags=a,,b", "tags"),
    ],
)
def test_a_query_that_is_wrong_is_refused(api, query, field):
    answer = api.post(URL + query, '{"to":{"phone":"+16502530000"}}', content_type=NDJSON)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert not Batch.objects.exists()


def test_other_kinds_of_body_are_refused(api):
    assert_refused(api.post(URL, "x", content_type="text/plain"), 415, "unsupported_media_type")
    answer = api.post(f"{URL}?template=x", "email", content_type="text/csv; charset=latin-1")
    assert_refused(answer, 400, "invalid")


def test_uploads_have_a_limit_of_their_own(api, settings):
    settings.BATCH_UPLOAD_MAX_SIZE = 100
    TemplateVersionFactory.create(template__key="welcome")
    answer = api.post(f"{URL}?template=welcome", "email\n" + "x" * 100, content_type=CSV)
    assert_refused(answer, 413, "too_large")
    assert not Batch.objects.exists()


# --- Uploads that break ------------------------------------------------------------------------

CUT_OFF = 'email,name\na@example.com,A\nb@example.com,"B'


@pytest.mark.parametrize("body", [CUT_OFF, "email,name\n", "\n"])
def test_a_broken_upload_is_aborted_removed_and_its_key_usable_again(api, monkeypatch, body):
    monkeypatch.setattr(bulk, "ROWS", 1)
    TemplateVersionFactory.create(template__key="welcome")
    SuppressionFactory.create(address="a@example.com")
    headers = {"Idempotency-Key": "k"}
    url = f"{URL}?template=welcome"
    answer = api.post(url, body, content_type=CSV, headers=headers)
    assert_refused(answer, 400, "invalid", "rows")
    batch = Batch.objects.get()
    assert (batch.state, batch.counts) == ("aborted", {})
    assert batch.reason == answer.json()["detail"]
    assert batch.finished_at is not None
    assert_nothing_is_left()
    answer = api.post(url, "email,name\nb@example.com,B", content_type=CSV, headers=headers)
    assert answer.status_code == 202
    assert "Idempotent-Replayed" not in answer
    assert Notification.objects.count() == 1


def test_an_upload_whose_process_died_is_found_and_removed(api, monkeypatch):
    monkeypatch.setattr(bulk, "_close", lambda *_: (_ for _ in ()).throw(SystemExit))
    monkeypatch.setattr(bulk, "abort", lambda *_: None)  # kill -9 leaves no time for it
    with pytest.raises(SystemExit):
        send(api, 3, key="k")
    monkeypatch.undo()
    assert Work.objects.filter(held=True).count() == 1
    bulk.abort_dead()
    assert Batch.objects.get().state == "receiving"  # it may still be alive
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(3)}
    again = api.post(URL, body, format="json", headers={"Idempotency-Key": "k"})
    assert_refused(again, 409, "idempotency_key_in_flight")
    Batch.objects.update(heard_at=timezone.now() - timedelta(seconds=61))
    bulk.abort_dead()
    batch = Batch.objects.get()
    assert (batch.state, batch.reason) == ("aborted", "its upload broke off")
    assert_nothing_is_left()
    assert send(api, 3, key="k")["state"] == "running"


def test_what_a_large_upload_left_is_removed_turn_by_turn(api, monkeypatch):
    """The scheduler has other things to do meanwhile: a million rows take minutes."""
    send(api, 20, approval=True)
    monkeypatch.setattr(bulk, "ROWS", 3)
    monkeypatch.setattr(bulk, "PIECES", 2)
    silent = timezone.now() - timedelta(minutes=5)
    Batch.objects.update(state=Batch.State.RECEIVING, heard_at=silent)
    left = []
    while Batch.objects.filter(finished_at=None).exists():
        bulk.abort_dead()
        left.append(Notification.objects.count())
    assert left[0] >= 20 - 2 * 6
    assert left == sorted(left, reverse=True)
    assert len(left) >= 3
    assert not Work.objects.exists()
    assert_nothing_is_left()


def test_cancelling_while_rows_come_in_aborts_the_upload(api, agent, monkeypatch):
    class Slow:
        def rows(self):
            yield Row(_to("a@example.com"), {"name": "A"}, number=1)
            batches.act(Batch.objects.get(), Batch.Action.CANCEL)
            yield Row(_to("b@example.com"), {"name": "B"}, number=2)

        def digest(self):
            return b""

    monkeypatch.setattr(bulk, "ROWS", 1)
    request = bulk.BatchRequest(content=TEXT, data={"team": "T"}, idempotency_key="k")
    with pytest.raises(UploadStopped):
        bulk.receive(agent, request, Slow())
    assert Batch.objects.get().state == "aborted"
    assert_nothing_is_left()


def _to(email: str):
    from notifications.services.asked import Target
    from notifications.types import Channel

    return Target(addresses={Channel.EMAIL: email})


# --- Idempotency -------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["priority=bulk", "pace=5", "rows=1", "x=1"])
def test_with_a_json_body_nothing_is_said_in_the_query(api, query):
    """It would not be heard: what a sender asks for twice must not be lost silently."""
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(1)}
    answer = api.post(f"{URL}?{query}", body, format="json")
    assert_refused(answer, 400, "invalid", query.split("=")[0])
    assert answer.json()["errors"][0]["code"] == "in_the_query"
    assert_nothing_is_left()


def test_an_upload_of_empty_lines_is_refused(api, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BLANK", 3)
    content = quote(json.dumps({"subject": "S", "text": "T"}))
    body = b'{"to":{"email":"ada@example.com"}}' + b"\n" * 9
    answer = api.post(
        f"{URL}?content={content}",
        body,
        content_type=NDJSON,
        headers={"Idempotency-Key": "k"},
    )
    assert_refused(answer, 400, "invalid", "rows")
    assert Batch.objects.get().state == "aborted"
    bulk.abort_dead()
    assert_nothing_is_left()


@pytest.mark.parametrize("kind", [NDJSON, CSV, f"{CSV}; charset=utf-8"])
def test_an_upload_of_nothing_says_that_there_are_no_rows(api, kind):
    content = quote(json.dumps({"subject": "S", "text": "T"}))
    answer = api.post(f"{URL}?content={content}", b"", content_type=kind)
    assert_refused(answer, 400, "invalid", "rows")
    assert answer.json()["errors"][0]["message"] == "There are no rows."


@pytest.mark.parametrize("kind", [NDJSON, CSV])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (gzip.compress(b'{"to": {"email": "a@example.org"}}'), "compressed by gzip"),
        (b"PK\x03\x04" + bytes(99), "ZIP archive or a workbook"),
        ("email\na@example.org".encode("utf-16"), "is UTF-16"),
    ],
    ids=["gzip", "zip", "utf-16"],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(api, kind, body, says):
    content = quote(json.dumps({"subject": "S", "text": "T"}))
    answer = api.post(f"{URL}?content={content}", body, content_type=kind)
    assert_refused(answer, 400, "invalid", "rows")
    assert says in answer.json()["errors"][0]["message"]
    assert_nothing_is_left()


def test_the_same_request_again_is_the_same_batch(api):
    first = send(api, key="k")
    body = {"rows": rows(3), "data": {"team": "T"}, "content": TEXT}
    again = api.post(URL, body, format="json", headers={"Idempotency-Key": "k"})
    assert again.status_code == 202
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == first["id"]
    assert Notification.objects.count() == 3


@pytest.mark.parametrize(
    "change", [{"rows": rows(2)}, {"pace": 5}, {"data": {"team": "U"}}, {"approval": True}], ids=str
)
def test_a_key_is_for_one_request_only(api, change):
    send(api, key="k")
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(3), **change}
    answer = api.post(URL, body, format="json", headers={"Idempotency-Key": "k"})
    assert_refused(answer, 422, "idempotency_key_reused")
    assert Notification.objects.count() == 3


def test_the_key_of_a_stream_covers_its_content(api):
    TemplateVersionFactory.create(template__key="welcome")
    url, headers = f"{URL}?template=welcome", {"Idempotency-Key": "k"}
    one, two = "email,name\na@example.com,A", "email,name\nb@example.com,B"
    first = api.post(url, one, content_type=CSV, headers=headers)
    again = api.post(url, one, content_type=CSV, headers=headers)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    other = api.post(url, two, content_type=CSV, headers=headers)
    assert_refused(other, 422, "idempotency_key_reused")


def test_keys_of_messages_and_batches_are_the_same_keys(api):
    message = {"to": {"email": "a@example.com"}, "content": {"subject": "S", "text": "T"}}
    headers = {"Idempotency-Key": "k"}
    assert api.post("/api/v1/notifications", message, format="json", headers=headers)
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(1)}
    answer = api.post(URL, body, format="json", headers=headers)
    assert_refused(answer, 422, "idempotency_key_reused")
    send(api, key="other")
    headers = {"Idempotency-Key": "other"}
    answer = api.post("/api/v1/notifications", message, format="json", headers=headers)
    assert_refused(answer, 422, "idempotency_key_reused")


def test_of_two_requests_at_once_with_one_key_one_is_received(api, monkeypatch):
    send(api, key="k")
    monkeypatch.setattr(bulk, "_known", lambda *_: None)  # as the second one sees it
    body = {"content": TEXT, "data": {"team": "T"}, "rows": rows(3)}
    answer = api.post(URL, body, format="json", headers={"Idempotency-Key": "k"})
    assert_refused(answer, 409, "idempotency_key_in_flight")
    assert answer["Retry-After"] == "1"
    assert Batch.objects.count() == 1


def test_a_refused_request_does_not_use_up_its_key(api):
    body = {"content": {}, "rows": rows(1)}
    headers = {"Idempotency-Key": "k"}
    assert api.post(URL, body, format="json", headers=headers).status_code == 400
    assert send(api, key="k")["state"] == "running"


# --- Moves -------------------------------------------------------------------------------------

ALLOWED = {
    "pause": {"running"},
    "resume": {"paused", "halted"},
    "approve": {"awaiting_approval"},
    "cancel": {"receiving", "awaiting_approval", "running", "paused", "halted"},
}


@pytest.mark.parametrize("action", ALLOWED)
@pytest.mark.parametrize("state", Batch.State.values)
def test_each_action_is_for_certain_states(api, action, state):
    batch = send(api)
    Batch.objects.update(state=state)
    answer = api.post(f"{URL}/{batch['id']}/{action}")
    if state in ALLOWED[action]:
        assert answer.status_code == 200, answer.content
        assert answer.json()["state"] != state
    else:
        assert_refused(answer, 409, "batch_state")
        assert state in answer.json()["detail"]
        assert get(api, batch)["state"] == state


def test_a_paused_batch_sends_nothing_until_it_is_resumed(api):
    batch = send(api)
    assert act(api, batch, "pause")["state"] == "paused"
    assert drain(Lane.BULK) == 0
    tend()
    assert get(api, batch)["state"] == "paused"
    assert act(api, batch, "resume")["state"] == "running"
    drain(Lane.BULK)
    tend()
    assert get(api, batch)["counts"] == {"sent": 3}


def test_a_chunk_that_was_claimed_before_the_pause_comes_back_held(api):
    batch = send(api)
    Batch.objects.update(state="paused")  # as a window sees it that opens after the claim
    drain(Lane.BULK)
    assert not SimulatedMessage.objects.exists()
    assert Work.objects.get().held
    act(api, batch, "resume")
    drain(Lane.BULK)
    assert SimulatedMessage.objects.count() == 3


def test_work_that_a_race_left_held_is_released(api):
    send(api)
    Work.objects.update(held=True)
    tend()
    assert not Work.objects.get().held


def test_with_a_pace_chunks_follow_each_other_also_after_a_pause(api):
    batch = send(api, 5, pace=2)
    assert sorted(Work.objects.values_list("size", flat=True)) == [1, 2, 2]
    for pause in (False, True):
        if pause:
            act(api, batch, "pause")
            make_everything_due()
            act(api, batch, "resume")
        due = sorted(Work.objects.values_list("due_at", flat=True))
        assert [(later - due[0]).total_seconds() for later in due] == [0, 1, 2]


def accepted_days_ago(days: int) -> None:
    past = timezone.now() - timedelta(days=days)
    Delivery.objects.update(created_at=past)
    Notification.objects.update(created_at=past)


def test_a_paced_batch_may_take_longer_than_a_message_may_be_tried(api):
    """Its last chunks fall due days after it was accepted: they are as good as new then."""
    send(api, 5, pace=0.01)
    accepted_days_ago(4)
    make_everything_due()
    drain(Lane.BULK)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent", "queued"}
    assert not DeadLetter.objects.exists()


def test_a_batch_that_was_approved_after_the_weekend_is_tried_again(api, settings):
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    batch = send(api, 1, approval=True)
    accepted_days_ago(4)
    act(api, batch, "approve")
    drain(Lane.BULK)
    delivery = Delivery.objects.get()
    assert delivery.state == "queued"
    assert delivery.attempts_made


def test_a_paced_batch_with_a_time_is_spread_from_that_time(api):
    at = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    send(api, 5, pace=1, send_at=at.isoformat())
    due = sorted(Work.objects.values_list("due_at", flat=True))
    assert [(moment - at).total_seconds() for moment in due] == [0, 1, 2, 3, 4]


def test_the_work_of_a_dead_worker_is_held_like_any_other(api):
    batch = send(api, 3)
    queue.claim(Lane.BULK, 10)
    Work.objects.update(lease_until=timezone.now() - timedelta(minutes=2))  # kill -9
    act(api, batch, "pause")
    assert Work.objects.get().held
    assert list(audit.findings()) == []


def test_send_at_is_kept_over_a_pause(api):
    later = timezone.now() + timedelta(hours=2)
    batch = send(api, send_at=later.isoformat())
    assert batch["counts"] == {"scheduled": 3}
    assert batch["state"] == "running"
    act(api, batch, "pause")
    act(api, batch, "resume")
    assert Work.objects.get().due_at == later
    assert drain(Lane.BULK) == 0
    make_everything_due()
    drain(Lane.BULK)
    assert SimulatedMessage.objects.count() == 3


def test_cancelling_ends_what_was_not_sent(api):
    batch = send(api, send_at=(timezone.now() + timedelta(hours=2)).isoformat())
    answer = act(api, batch, "cancel")
    assert (answer["state"], answer["counts"]) == ("cancelled", {"scheduled": 3})
    drain(Lane.BULK)
    tend()
    batch = get(api, batch)
    assert (batch["state"], batch["counts"]) == ("cancelled", {"cancelled": 3})
    assert batch["finished_at"] is not None
    assert not SimulatedMessage.objects.exists()
    assert not Work.objects.exists()


def test_a_paused_batch_can_be_cancelled(api):
    batch = send(api)
    act(api, batch, "pause")
    act(api, batch, "cancel")
    drain(Lane.BULK)
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.CANCELLED}


def test_a_batch_that_asks_for_approval_waits_for_it(api):
    batch = send(api, approval=True)
    assert (batch["state"], batch["started_at"]) == ("awaiting_approval", None)
    assert drain(Lane.BULK) == 0
    tend()
    assert act(api, batch, "approve")["started_at"] is not None
    drain(Lane.BULK)
    assert SimulatedMessage.objects.count() == 3


# --- Canary ------------------------------------------------------------------------------------

CANARY = {"percent": 20, "wait": 60, "max_failures": 10}


def test_a_canary_that_lives_lets_the_rest_go(api):
    batch = send(api, 20, canary=CANARY)
    assert batch["canary"] == CANARY
    drain(Lane.BULK)
    assert SimulatedMessage.objects.count() == 4
    tend()
    assert get(api, batch)["canary_until"] is not None
    assert drain(Lane.BULK) == 0
    Batch.objects.update(canary_until=timezone.now() - timedelta(seconds=1))  # the wait is over
    tend()
    batch = get(api, batch)
    assert batch["canary"] == {**CANARY, "tried": 4, "failed": 0, "passed": True}
    drain(Lane.BULK)
    tend()
    assert SimulatedMessage.objects.count() == 20
    assert get(api, batch)["state"] == "done"


def test_a_canary_that_dies_halts_the_batch_which_staff_may_resume_or_cancel(api):
    for action in ("resume", "cancel"):
        failing = [
            {"to": {"email": f"fail+{action}{n}@simulator.test"}, "data": {"name": "x"}}
            for n in range(10)
        ]
        batch = send(api, rows=failing, canary={**CANARY, "wait": 0})
        drain(Lane.BULK)
        tend()
        batch = get(api, batch)
        assert batch["state"] == "halted"
        assert batch["reason"] == (
            "2 of the first 2 messages failed or were not taken; at most 10 % may"
        )
        assert batch["canary"]["passed"] is False
        assert drain(Lane.BULK) == 0
        act(api, batch, action)
        drain(Lane.BULK)
        tend()
        ended = {"resume": {"failed": 10}, "cancel": {"failed": 2, "cancelled": 8}}
        assert get(api, batch)["counts"] == ended[action]


@pytest.mark.parametrize("answer", [temporary(), unanswered()], ids=["refused", "not answered"])
def test_a_canary_that_nobody_took_halts_the_batch(api, settings, answer):
    """Those that were tried and wait for another try, or for an answer, have not gone out."""
    settings.PROVIDERS = {"a": entry(answer=answer)}
    batch = send(api, 20, canary={**CANARY, "wait": 0, "max_failures": 0})
    drain(Lane.BULK)
    tend()
    batch = get(api, batch)
    assert batch["state"] == "halted"
    assert batch["reason"] == (
        "4 of the first 4 messages failed or were not taken; at most 0 % may"
    )
    told = {name: batch["canary"][name] for name in ("tried", "failed", "passed")}
    assert told == {"tried": 4, "failed": 4, "passed": False}
    assert len(scripted("a").asked) == 4


def test_a_canary_of_which_nobody_was_tried_tells_nothing(api):
    """All of it had opted out."""
    batch = send(api, 20, canary={**CANARY, "wait": 0})
    drawn = [id_ for work in Work.objects.filter(held=False) for id_ in work.ids]
    for delivery in Delivery.objects.filter(id__in=drawn):
        SuppressionFactory.create(address=delivery.address)
    drain(Lane.BULK)
    tend()
    assert get(api, batch)["canary"].get("passed") is not True


def test_a_canary_that_was_taken_at_the_second_try_lives(api, settings):
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    batch = send(api, 20, canary={**CANARY, "max_failures": 0})
    drain(Lane.BULK)
    tend()
    assert get(api, batch)["state"] == "running"  # there is time yet
    scripted("a").answer = Sent("ref")
    Work.objects.filter(held=False).update(due_at=timezone.now())
    drain(Lane.BULK)
    Batch.objects.update(canary_until=timezone.now() - timedelta(seconds=1))
    tend()
    assert get(api, batch)["canary"]["passed"] is True


def test_a_canary_is_at_least_one_message_and_no_more_than_asked(api):
    send(api, 3, canary={**CANARY, "percent": 0.001})
    assert sorted(Work.objects.values_list("held", "size")) == [(False, 1), (True, 2)]


def test_a_canary_is_not_the_first_rows(api):
    send(api, 200, canary={**CANARY, "percent": 10})
    (work,) = Work.objects.filter(held=False)
    drawn = Delivery.objects.filter(id__in=work.ids).values_list("notification__row", flat=True)
    assert len(drawn) == 20
    assert set(drawn) != set(range(1, 21))  # by chance the first ones: once in 10 ** 27


def test_the_wait_of_a_canary_begins_when_each_of_it_was_tried(api):
    batch = send(api, 10, canary=CANARY, send_at=(timezone.now() + timedelta(hours=2)).isoformat())
    tend()
    assert get(api, batch)["canary_until"] is None
    Work.objects.filter(held=False).update(due_at=timezone.now())
    drain(Lane.BULK)
    tend()
    assert get(api, batch)["canary_until"] is not None


def test_a_pause_during_the_canary_draws_another_one(api):
    batch = send(api, 10, canary=CANARY)
    act(api, batch, "pause")
    assert not Work.objects.filter(held=False).exists()
    act(api, batch, "resume")
    assert sum(Work.objects.filter(held=False).values_list("size", flat=True)) == 2


def test_approval_comes_before_the_canary(api):
    batch = send(api, 10, canary=CANARY, approval=True)
    assert not Work.objects.filter(held=False).exists()
    act(api, batch, "approve")
    assert sum(Work.objects.filter(held=False).values_list("size", flat=True)) == 2


# --- Counts ------------------------------------------------------------------------------------


def test_counts_are_right_before_and_after_folding(api):
    batch = send(api)
    assert BatchDelta.objects.count() == 1
    before = get(api, batch)["counts"]
    batches.fold_counts()
    assert not BatchDelta.objects.exists()
    assert get(api, batch)["counts"] == before == {"queued": 3}
    BatchDelta.objects.create(batch_id=batch["id"], counts={"queued": -3, "sent": 3})
    assert get(api, batch)["counts"] == {"sent": 3}
    batches.fold_counts()
    batches.fold_counts()
    assert Batch.objects.get().counts == {"sent": 3}


# --- Reading -----------------------------------------------------------------------------------


def test_batches_are_listed_newest_first_and_filtered(api):
    sent = [send(api, 1, reference=f"r{n}") for n in range(3)]
    page = api.get(f"{URL}?limit=2").json()
    assert [row["id"] for row in page["results"]] == [sent[2]["id"], sent[1]["id"]]
    assert page["results"][0]["counts"] == {"queued": 1}
    page = api.get(page["next"]).json()
    assert [row["id"] for row in page["results"]] == [sent[0]["id"]]
    assert [row["id"] for row in api.get(f"{URL}?reference=r1").json()["results"]] == [
        sent[1]["id"]
    ]
    assert api.get(f"{URL}?state=done").json()["results"] == []
    assert_refused(api.get(f"{URL}?state=gone"), 400, "invalid", "state")
    assert_refused(api.get(f"{URL}?reference=%00"), 400, "invalid", "reference")
    assert_refused(api.get(f"{URL}?cursor=x"), 400, "invalid", "cursor")


@pytest.fixture
def mixed(api: APIClient) -> str:
    """Every third of twelve rows is wrong."""
    some = rows(12)
    for row in some[2::3]:
        row["to"] = {}
    return f"{URL}/{send(api, rows=some)['id']}/results"


def test_results_are_paged_in_the_order_of_the_upload_both_ways(api, mixed):
    pages = [api.get(f"{mixed}?limit=5").json()]
    while pages[-1]["next"]:
        pages.append(api.get(pages[-1]["next"]).json())
    numbers = [[row["number"] for row in page["results"]] for page in pages]
    assert numbers == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]
    back = api.get(pages[2]["previous"]).json()
    assert [row["number"] for row in back["results"]] == numbers[1]
    first = api.get(back["previous"]).json()
    assert [row["number"] for row in first["results"]] == numbers[0]
    assert first["previous"] is None


def test_results_by_status(api, mixed):
    found = api.get(f"{mixed}?status=rejected").json()["results"]
    assert [row["number"] for row in found] == [3, 6, 9, 12]
    found = api.get(f"{mixed}?status=accepted&limit=200").json()["results"]
    assert len(found) == 8
    one = api.get(f"/api/v1/notifications/{found[0]['notification_id']}")
    assert one.json()["deliveries"][0]["id"] == found[0]["deliveries"][0]["id"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?status=maybe", "status"),
        ("?cursor=x", "cursor"),
        ("?cursor=a", "cursor"),
        ("?cursor=c00000000000000000000000000000000", "cursor"),
        ("?cursor=%00", "cursor"),
    ],
)
def test_results_refuse_what_they_do_not_know(api, mixed, query, field):
    assert_refused(api.get(mixed + query), 400, "invalid", field)
    answer = api.get(mixed + query, headers={"Accept": "text/csv"})
    if field == "status":
        assert_refused(answer, 400, "invalid", field)


def test_results_are_downloaded_as_ndjson_or_csv(api, mixed, monkeypatch):
    monkeypatch.setattr("notifications.services.results.PIECE", 5)
    by_query = api.get(f"{mixed}?format=ndjson")
    assert by_query["Content-Type"] == NDJSON
    assert by_query["Content-Disposition"].endswith('.ndjson"')
    listed = [json.loads(line) for line in by_query.getvalue().splitlines()]
    assert listed == api.get(f"{mixed}?limit=200").json()["results"]
    by_header = api.get(f"{mixed}?status=rejected", headers={"Accept": "text/csv"})
    assert by_header["Content-Type"].startswith(CSV)
    found = list(csv.DictReader(io.StringIO(by_header.getvalue().decode())))
    assert [row["number"] for row in found] == ["3", "6", "9", "12"]
    assert found[0]["errors"].startswith("to required:")


def test_an_empty_download_has_a_header(api):
    batch = send(api)
    answer = api.get(f"{URL}/{batch['id']}/results?format=csv&status=rejected")
    assert answer.getvalue() == b"number,reference,status,notification_id,deliveries,errors\r\n"


# --- Who may -----------------------------------------------------------------------------------


def client_of(agent: ApiClient, *scopes: Scope) -> APIClient:
    _, secret = keys.issue(agent, list(scopes))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_an_agent_sees_and_moves_only_its_own(api):
    batch = send(api)
    other = client_of(ApiClientFactory.create(), *Scope)
    for path in ("", "/results", "/results?format=csv"):
        assert_refused(other.get(f"{URL}/{batch['id']}{path}"), 404, "not_found")
    for action in Batch.Action.values:
        assert_refused(other.post(f"{URL}/{batch['id']}/{action}"), 404, "not_found")
    assert other.get(URL).json()["results"] == []
    assert get(api, batch)["state"] == "running"


def test_scopes(api, agent):
    batch = send(api)
    reader = client_of(agent, Scope.NOTIFICATIONS_READ)
    writer = client_of(agent, Scope.NOTIFICATIONS_WRITE)
    for path in ("", f"/{batch['id']}", f"/{batch['id']}/results"):
        assert reader.get(URL + path).status_code == 200
        assert_refused(writer.get(URL + path), 403, "forbidden")
    assert_refused(reader.post(URL, {}, format="json"), 403, "forbidden")
    assert_refused(reader.post(f"{URL}/{batch['id']}/pause"), 403, "forbidden")
    assert writer.post(f"{URL}/{batch['id']}/pause").status_code == 200
    assert_refused(APIClient().post(URL, {}, format="json"), 401, "unauthenticated")


def test_a_category_counts_for_every_row(api):
    CategoryFactory.create(key="news", kind="marketing")
    SuppressionFactory.create(address="p1@example.com", scope="news", reason="unsubscribe")
    assert send(api, 2, category="news")["counts"] == {"queued": 1, "suppressed": 1}


# --- The page about batches --------------------------------------------------------------------

HOW_TO = ROOT / "docs" / "how-to" / "send-a-batch.md"


def test_the_states_and_actions_of_the_page_are_those_of_the_code():
    told = {
        docs.bare(state): {word.strip() for word in actions.split(",") if word.strip()}
        for state, _, actions in docs.tables(HOW_TO, "Batch state", "Means", "Actions")
    }
    allowed = {
        state: {action for action, states in ALLOWED.items() if state in states}
        for state in Batch.State.values
    }
    assert told == allowed


def test_the_examples_of_the_page_work(api):
    (_, path, headers, body), *_ = docs.calls(HOW_TO)
    answer = api.post(f"/api/v1{path}", body, format="json", headers=headers)
    assert answer.status_code == 202, answer.content
    assert answer.json()["accepted"] == 2
    (example,) = fences(HOW_TO, "csv")
    query = "content=" + quote(json.dumps(body["content"])) + "&data=" + quote('{"team": "T"}')
    answer = api.post(f"{URL}?{query}", example, content_type=CSV)
    assert answer.json()["accepted"] == 2, answer.content


def test_the_fields_of_the_page_are_those_of_the_api(api):
    told = {docs.bare(name) for name, _ in docs.tables(HOW_TO, "Batch field", "Rule")}
    assert told == set(BatchInput().fields) - set(NotificationInput().fields)
