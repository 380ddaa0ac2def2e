"""Data are held against the template before anything is stored, and all errors told at once."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import BatchRejection, Notification
from templates_app import services

pytestmark = pytest.mark.django_db

CHANNELS = {
    "email": {
        "subject": "{{ order.id }}",
        "text": "{% for line in order.lines %}{{ line.price|currency('EUR') }}{% endfor %}{{ at|date }}",
    },
    "sms": {"text": "{{ code }}"},
}
GOOD = {"order": {"id": 1, "lines": [{"price": "1.5"}]}, "at": "2026-11-22", "code": 1}
WRONG = {"order": {"lines": [{"price": 1}, {"price": True}, {}]}, "at": "tomorrow"}


def publish(**fields: Any) -> None:
    template = services.create(
        key="order", name="O", channels=CHANNELS, locale="en", author="ada", **fields
    )
    services.publish(template)


def send(api: APIClient, data: Any, **fields: Any) -> Any:
    body = {"template": "order", "to": {"email": "a@example.org"}, "data": data, **fields}
    return api.post("/api/v1/notifications", body, format="json")


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] == "template"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_everything_that_is_wrong_is_told_with_its_path(api: APIClient):
    publish()
    assert send(api, GOOD).status_code == 202
    assert errors(send(api, WRONG)) == {
        "data.order.id": "missing_variable",
        "data.order.lines[1].price": "invalid_value",
        "data.order.lines[2].price": "missing_variable",
        "data.at": "invalid_value",
    }
    assert Notification.objects.count() == 1


def test_only_the_channels_that_are_sent_ask_for_data(api: APIClient):
    publish()
    assert send(api, {"code": 5}, to={"phone": "+491701234567"}).status_code == 202
    both = {"email": "a@example.org", "phone": "+491701234567"}
    assert errors(send(api, {**WRONG, "order": GOOD["order"]}, to=both)) == {
        "data.at": "invalid_value",
        "data.code": "missing_variable",
    }


def test_what_people_ask_for_binds_though_it_would_render(api: APIClient):
    schema = {
        "properties": {
            "at": {"description": "The day it was ordered"},
            "order": {"properties": {"id": {"type": "string", "minLength": 4}}},
            "code": {"enum": ["1234", "4321"]},
        },
        "required": ["code"],
    }
    publish(schema=schema)
    assert errors(send(api, {**GOOD, "code": 1})) == {
        "data.order.id": "invalid_value",
        "data.code": "invalid_value",
    }
    good = {**GOOD, "order": {**GOOD["order"], "id": "A-17"}, "code": "1234"}  # type: ignore[dict-item]
    assert send(api, good).status_code == 202
    del good["code"]
    assert errors(send(api, good)) == {"data.code": "missing_variable"}


def test_each_row_of_a_batch_is_refused_with_all_of_its_errors(api: APIClient):
    publish()
    rows = [
        {"to": {"email": "a@example.org"}, "data": {}},
        {"to": {"email": "b@example.org"}, "data": {"order": {"lines": 5}, "at": "never"}},
        {"to": {"email": "c@example.org"}, "data": {"at": "2026-01-01"}},
    ]
    body = {"template": "order", "data": GOOD, "rows": rows, "channels": ["email"]}
    made = api.post("/api/v1/batches", body, format="json").json()
    assert (made["received"], made["rejected"]) == (3, 1)
    [refused] = BatchRejection.objects.all()
    assert refused.row == 2
    assert {error["field"] for error in refused.errors} == {
        "data.order.id",
        "data.order.lines",
        "data.at",
    }
