"""One message to everybody of a topic."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.addresses import digest
from notifications.models import Batch, Delivery, SimulatedMessage, Suppression
from notifications.services import batches, recipients, topics
from notifications.services.recipients import Known
from notifications.states import State
from notifications.types import Channel, Lane
from tests.engine import drain

pytestmark = pytest.mark.django_db
PEOPLE = ["ada", "bob", "eve", "joe"]


@pytest.fixture(autouse=True)
def _people() -> None:
    for key in ("all", "testers"):
        topics.make(key, key.title())
    recipients.put(
        [Known(one, addresses=[(Channel.EMAIL, f"{one}@simulator.test")]) for one in PEOPLE]
    )
    topics.add(topics.get("all"), PEOPLE)
    topics.add(topics.get("testers"), ["joe", "ada"])


def body(**to: Any) -> dict[str, Any]:
    content = {"subject": "News", "text": "Read all about it."}
    return {"to": {"topic": "all", **to}, "content": content, "priority": "bulk"}


def send(api: APIClient, asked: Any, key: str = "", status: int = 202) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = api.post("/api/v1/notifications", asked, format="json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def written_to() -> list[str]:
    rows = SimulatedMessage.objects.values_list("address", flat=True)
    return sorted(address.partition("@")[0] for address in rows)


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ({}, ["ada", "bob", "eve", "joe"]),
        ({"exclude": ["bob", "nobody"]}, ["ada", "eve", "joe"]),
        ({"exclude_topics": ["testers"]}, ["bob", "eve"]),
        ({"exclude": ["eve"], "exclude_topics": ["testers"]}, ["bob"]),
    ],
)
def test_everybody_but_those_left_out_is_written_to_once(
    api: APIClient, to: Any, reached: list[str]
) -> None:
    answer = send(api, body(**to))
    drain(Lane.BULK)
    assert written_to() == reached
    batch = api.get(f"/api/v1/batches/{answer['batch']}").json()
    assert (answer["id"], answer["deliveries"]) == (answer["batch"], [])
    assert batch["accepted"] == len(reached)


def test_each_of_them_is_decided_by_themselves(api: APIClient) -> None:
    address = digest(Channel.EMAIL, "bob@simulator.test")
    Suppression.objects.create(channel="email", address_hash=address, reason="bounce")
    topics.add(topics.get("all"), ["new"])  # without an address
    answer = send(api, body())
    drain(Lane.BULK)
    batches.fold_counts()
    assert written_to() == ["ada", "eve", "joe"]
    results = api.get(f"/api/v1/batches/{answer['batch']}/results").json()["results"]
    assert sorted(one["status"] for one in results) == [*["accepted"] * 4, "rejected"]
    states = Delivery.objects.values_list("address", "state")
    assert dict(states)["bob@simulator.test"] == State.SUPPRESSED


def test_a_key_is_one_batch_whoever_comes_meanwhile(api: APIClient) -> None:
    first = send(api, body(), key="k-1")
    topics.add(topics.get("all"), ["new"])
    assert send(api, body(), key="k-1") == first
    send(api, body(exclude=["bob"]), key="k-1", status=422)
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (body(topic="none"), "to.topic"),
        (body(exclude_topics=["none"]), "to.exclude_topics"),
        (body(user_id="ada"), "to.user_id"),
        ({**body(), "dry_run": True}, "dry_run"),
        ({**body(), "attachments": [{"filename": "a", "content": "YQ=="}]}, "attachments"),
        ({**body(), "to": {"user_id": "ada", "exclude": ["bob"]}}, "to.exclude"),
        (body(exclude=PEOPLE), "rows"),
    ],
)
def test_what_cannot_go_to_a_topic_is_named(api: APIClient, asked: Any, field: str) -> None:
    problem = send(api, asked, status=400)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert not SimulatedMessage.objects.exists()
