"""`Idempotency-Key` of what is no message by itself: schedules, and templates sent to look at. That of
messages and batches is with them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications.models import Notification, Schedule
from notifications.services import keys as service
from templates_app.models import Template
from tests.factories import TemplateFactory, TemplateVersionFactory

MESSAGE = {
    "to": {"email": "ada@simulator.test"},
    "content": {"subject": "Hello", "text": "It works."},
}
SCHEDULE = {"name": "report", "cron": "0 9 * * *", "notification": MESSAGE}
PROOF = {"to": {"email": "ada@simulator.test"}, "data": {"name": "Ada"}}
CALLS: dict[str, Any] = {
    "/api/v1/schedules": (SCHEDULE, {**SCHEDULE, "name": "another"}),
    "/api/v1/templates/welcome/test-send": (PROOF, {**PROOF, "data": {"name": "Bob"}}),
}


@pytest.fixture(autouse=True)
def template(db: None) -> Template:
    template = TemplateFactory.create(key="welcome")
    TemplateVersionFactory.create(template=template)
    return template


def post(api: APIClient, url: str, body: Any, key: str = "key-1") -> Any:
    return api.post(url, body, format="json", headers={"Idempotency-Key": key})


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def made() -> int:
    return Schedule.objects.count() + Notification.objects.count()


@pytest.mark.parametrize("url", CALLS)
def test_what_is_asked_again_is_done_once(api: APIClient, url: str) -> None:
    body, other = CALLS[url]
    first, again = post(api, url, body), post(api, url, body)
    assert first.status_code == again.status_code < 300
    assert first.json() == again.json()
    assert [one.headers.get("Idempotent-Replayed") for one in (first, again)] == [None, "true"]
    assert made() == 1
    refused(post(api, url, other), 422, "idempotency_key_reused")
    refused(post(api, url, body, key="x" * 256), 400, "invalid")
    assert post(api, url, other, key="key-2").status_code == first.status_code
    assert made() == 2
    # Another agent's key is another key.
    stranger = APIClient()
    _, secret = keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert "Idempotent-Replayed" not in post(stranger, url, body).headers
    assert made() == 3


def test_a_key_is_of_one_operation(api: APIClient, template: Template) -> None:
    TemplateVersionFactory.create(template=TemplateFactory.create(key="goodbye"))
    one, two = "/api/v1/templates/welcome/test-send", "/api/v1/templates/goodbye/test-send"
    assert post(api, one, PROOF).status_code == 202
    refused(post(api, two, PROOF), 422, "idempotency_key_reused")
    refused(post(api, "/api/v1/schedules", SCHEDULE), 422, "idempotency_key_reused")
    refused(post(api, "/api/v1/notifications", MESSAGE), 422, "idempotency_key_reused")


def test_what_was_refused_leaves_its_key_free(api: APIClient) -> None:
    assert post(api, "/api/v1/schedules", SCHEDULE).status_code == 201
    late = {**SCHEDULE, "cron": "0 8 * * *"}
    refused(post(api, "/api/v1/schedules", late, key="key-2"), 409, "name_taken")
    assert post(api, "/api/v1/schedules", {**late, "name": "late"}, key="key-2").status_code == 201


def test_a_draft_may_change_after_it_was_sent_to_look_at(
    api: APIClient, template: Template
) -> None:
    draft = TemplateVersionFactory.create(template=template, number=2, published_at=None)
    url = "/api/v1/templates/welcome/test-send"
    first = post(api, url, PROOF)
    assert first.status_code == 202, first.content
    draft.channels = {"email": {"subject": "{{ more }}", "text": "{{ more }}"}}
    draft.save()
    assert post(api, url, PROOF, key="key-2").status_code == 400
    assert post(api, url, PROOF).json() == first.json()


def test_of_a_schedule_that_is_deleted_nothing_is_given(api: APIClient) -> None:
    post(api, "/api/v1/schedules", SCHEDULE)
    Schedule.objects.all().delete()
    refused(post(api, "/api/v1/schedules", SCHEDULE), 404, "not_found")
    assert post(api, "/api/v1/schedules", SCHEDULE, key="key-2").status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", CALLS)
def test_asked_at_the_same_time_it_is_done_once(api: APIClient, url: str) -> None:
    body, _ = CALLS[url]

    def ask(_: int) -> Any:
        answer = post(api, url, body)
        connections.close_all()
        return answer

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 3
    assert made() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", CALLS)
def test_one_that_is_still_under_way_is_said_to_be(
    api: APIClient, agent: ApiClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, _ = CALLS[url]
    monkeypatch.setattr(service, "LOCK_MS", 50)

    def ask() -> Any:
        answer = post(api, url, body)
        connections.close_all()
        return answer

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            IdempotencyKey.objects.create(client=agent, key="key-1", fingerprint=b"x")
            answer = pool.submit(ask).result(60)
            transaction.set_rollback(True)
        refused(answer, 409, "idempotency_key_in_flight")
        assert answer.headers["Retry-After"] == "1"
        assert pool.submit(ask).result(60).status_code < 300
    assert made() == 1
