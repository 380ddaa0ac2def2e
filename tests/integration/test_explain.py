"""Why a message goes out or does not: every rule, every provider."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common.models import ApiClient
from notifications.models import Category, Preference, Recipient
from notifications.services import route
from tests.factories import CategoryFactory
from tests.integration.test_admission import send

pytestmark = pytest.mark.django_db


def explained(api: APIClient, notification_id: object, status: int = 200) -> Any:
    answer = api.get(f"/api/v1/notifications/{notification_id}/explain")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_every_rule_answers_and_the_first_refusal_is_found(
    agent: ApiClient, api: APIClient
) -> None:
    news = CategoryFactory.create(key="news", kind=Category.Kind.MARKETING, daily_cap=3)
    (delivery,) = send(agent, category="news")
    story = explained(api, delivery.notification_id)
    (trace,) = [one["trace"] for one in story["deliveries"]]
    assert {one["answer"] for one in trace["policy"]} == {"send"}
    assert trace["routes"] == [
        {"provider": "simulator", "usable": True, "why": "", "remaining": None}
    ]
    assert story["recipient"] == {"locale": "", "time_zone": ""}

    person = Recipient.objects.get(user_id="u-1")
    Preference.objects.create(recipient=person, category=news, is_on=False)
    route.switch("simulator", on=False, by="a test")
    (one,) = explained(api, delivery.notification_id)["deliveries"]
    against = [(f["rule"], f["answer"]) for f in one["trace"]["policy"] if f["answer"] != "send"]
    assert against == [("preference", "suppressed")]
    assert one["trace"]["routes"][0]["why"] == "staff have switched it off"


def test_another_agents_message_is_explained_to_nobody(agent: ApiClient, api: APIClient) -> None:
    other = ApiClient.objects.create(name="other")
    (delivery,) = send(other)
    explained(api, delivery.notification_id, 404)


def test_a_dry_run_has_the_same_trace(agent: ApiClient, api: APIClient) -> None:
    news = CategoryFactory.create(key="news", daily_cap=3)
    person = Recipient.objects.create(user_id="u-1")
    Preference.objects.create(recipient=person, category=news, channel="email", is_on=False)
    body = {
        "to": {"user_id": "u-1", "email": "ada@simulator.test"},
        "content": {"subject": "Hello", "text": "It works."},
        "category": "news",
        "dry_run": True,
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 200
    (delivery,) = answer.json()["deliveries"]
    against = [one["rule"] for one in delivery["trace"]["policy"] if one["answer"] != "send"]
    assert against == ["preference"]
    assert delivery["trace"]["routes"][0]["provider"] == "simulator"
    assert (delivery["id"], delivery["status"]) == (None, "suppressed")
