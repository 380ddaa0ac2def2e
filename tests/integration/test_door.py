"""The fast door of `POST /api/v1/notifications`: Django's own answers, and messages by the group.

That both doors take and refuse the same is shown by test_api_notifications, which runs at both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections, connections, transaction
from rest_framework.test import APIClient

from commsproject.common.errors import ServiceUnavailable
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications.api import door
from notifications.api.door import _answers, _Asked, _Taken
from notifications.api.input import NotificationInput, submission
from notifications.models import Notification, Recipient, Work
from notifications.services import submit
from tests.factories import ApiClientFactory
from tests.integration.doors import FastClient
from tests.walk import each

GOOD = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hello", "text": "Works."}}


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The test's own, also after a group: as Django's test client keeps it."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


@pytest.fixture
def secret(agent: ApiClient) -> str:
    return keys.issue(agent, list(Scope))[1]


def at(kind: type[APIClient], secret: str) -> APIClient:
    client = kind()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def asked(secret: str, key: str = "", **changes: Any) -> _Asked:
    body = {**GOOD, **changes}
    found = submission(NotificationInput().run_validation(body), idempotency_key=key, raw=body)
    assert not isinstance(found, tuple)
    return _Asked(secret, found)


def told(answer: Any) -> Mapping[str, str]:
    """The headers of an answer but for what is another in each."""
    own = {"x-request-id", "ratelimit"}
    return {
        name.lower(): value for name, value in answer.headers.items() if name.lower() not in own
    }


def test_both_doors_answer_with_the_same_headers_and_form(secret: str, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 3600
    answers = []
    for kind in (APIClient, FastClient):
        client = at(kind, secret)
        first, again = (
            client.post(
                door.PATH,
                GOOD,
                format="json",
                secure=True,
                headers={"Idempotency-Key": kind.__name__, "X-Request-Id": "request-1"},
            )
            for _ in range(2)
        )
        assert getattr(client, "by_itself", 2) == 2
        assert [first.status_code, again.status_code] == [202, 202]
        assert first.headers["X-Request-Id"] == "request-1"
        assert first.json() == again.json()
        answers.append([told(first), told(again), first.json().keys()])
    assert answers[0] == answers[1]
    assert "strict-transport-security" in answers[1][0]


def test_each_request_counts_once_whichever_door_answers(secret: str) -> None:
    client = at(FastClient, secret)
    left = [
        int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])
        for body in (
            GOOD,
            {**GOOD, "content": {}},
            {**GOOD, "template": "none", "content": None},
            GOOD,
        )
        for answer in [
            client.post(door.PATH, {k: v for k, v in body.items() if v is not None}, format="json")
        ]
    ]
    assert left == list(range(left[0], left[0] - 4, -1))


@each(
    ("headers", "path"),
    [
        ({"Cookie": "a=b"}, door.PATH),
        ({"Origin": "https://app.example.com"}, door.PATH),
        ({"Accept": "application/*"}, door.PATH),
        ({"Content-Encoding": "gzip"}, door.PATH),
        ({"Host": "elsewhere.example"}, door.PATH),
        ({"Authorization": "Bearer eyJ0.e30.x"}, door.PATH),
        ({}, f"{door.PATH}?format=json"),
    ],
)
def test_what_is_unusual_is_left_to_django(secret: str, headers: dict[str, str], path: str) -> None:
    client = FastClient()
    client.post(path, GOOD, format="json", headers={"Authorization": f"Bearer {secret}", **headers})
    assert client.by_itself == 0


def test_messages_of_many_agents_are_one_transaction_and_one_piece_of_work_each(
    django_assert_max_num_queries: Any, agent: ApiClient, secret: str
) -> None:
    other = ApiClientFactory.create()
    _, another = keys.issue(other, [Scope.NOTIFICATIONS_WRITE])
    _, reader = keys.issue(other, [Scope.NOTIFICATIONS_READ])
    group = [
        *(asked(secret, f"k{number}") for number in range(20)),
        *(asked(another, f"k{number}") for number in range(20)),
        asked(secret, "k0"),  # a repetition, while the first is on its way
        asked(reader),
        asked("comm_live_nobody"),
        asked(secret, category="unknown"),
    ]
    _answers([asked(secret)])  # templates, providers
    with django_assert_max_num_queries(40):
        answers = _answers(group)
    assert all(isinstance(answer, _Taken) for answer in answers[:40])
    assert answers[40:] == [None] * 4
    assert Notification.objects.filter(client=agent).count() == 21
    assert Notification.objects.filter(client=other).count() == 20
    assert Work.objects.filter(client=other).count() == 1
    ids = [answer.accepted.response["id"] for answer in answers[:40] if isinstance(answer, _Taken)]
    assert len(set(ids)) == 40


def test_the_limit_holds_within_a_group(secret: str, settings: Any) -> None:
    rate = replace(settings.API_LIMITS["agent"], count=3)
    settings.API_LIMITS = {**settings.API_LIMITS, "agent": rate}
    answers = _answers([asked(secret) for _ in range(5)])
    assert [isinstance(answer, _Taken) for answer in answers] == [True] * 3 + [False] * 2
    standings = [answer.standing for answer in answers if isinstance(answer, _Taken)]
    assert [standing.free for standing in standings if standing] == [2, 1, 0]


def test_a_group_that_fails_is_django_s_one_by_one(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit's tokens are given back: Django takes its own."""

    def fail(_: object) -> None:
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr(submit, "write", fail)
        assert _answers([asked(secret), asked(secret)]) == [None, None]
    (answer,) = _answers([asked(secret)])
    assert isinstance(answer, _Taken)
    assert answer.standing is not None
    assert answer.standing.free == answer.standing.bucket.count - 1
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_nobody_heard_of_is_never_tried_again(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the commit, before its answer: there is one message, and a 503."""

    def committed_and_cut(self: Any) -> None:
        self.connection.commit()
        with self.wrap_database_errors:
            self.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patch:
        patch.setattr(type(connections["default"]), "_commit", committed_and_cut)
        answers = _answers([asked(secret)])
    assert [type(answer) for answer in answers] == [ServiceUnavailable]
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stuck", ["key", "person"])
def test_one_that_meets_a_lock_holds_up_no_other(agent: ApiClient, secret: str, stuck: str) -> None:
    """A host that vanished in the midst of it holds a key, or a new person, for ten seconds and more."""
    group = [
        asked(secret, "k-1", to={"user_id": "u-1", "email": "ada@simulator.test"}),
        asked(secret, "k-2"),
        asked(secret),
    ]

    def answers() -> list[Any]:
        try:
            return list(_answers(group))
        finally:
            connections.close_all()

    _answers([asked(secret)])  # templates, providers
    with ThreadPoolExecutor(1) as elsewhere, transaction.atomic():
        if stuck == "key":
            IdempotencyKey.objects.create(client=agent, key="k-1", fingerprint=b"x")
        else:
            Recipient.objects.create(user_id="u-1")
        found = elsewhere.submit(answers).result(8)
        transaction.set_rollback(True)
    alone = found.pop() if stuck == "key" else None
    assert found == [None] * len(found)  # Django's, each by itself
    assert stuck == "person" or isinstance(alone, _Taken)
    assert all(isinstance(answer, _Taken) for answer in _answers(group))
