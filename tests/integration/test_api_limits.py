"""How often a caller may ask, and what it is told."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from rest_framework.test import APIClient

from commsproject.common import valkey
from commsproject.common.env import Rate
from commsproject.common.identity import issuer, keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient

WHOAMI = "/api/v1/whoami"


@pytest.fixture
def five(settings):
    settings.API_LIMITS = {"agent": Rate(5, 60), "user": Rate(2, 1)}


@pytest.fixture
def person() -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issuer.issue('u-1', timedelta(hours=1))}")
    return client


def test_every_answer_says_how_the_caller_stands(api, five):
    answers = [api.get(WHOAMI) for _ in range(2)]
    assert [answer["RateLimit-Policy"] for answer in answers] == ['"agent";q=5;w=60'] * 2
    assert answers[0]["RateLimit"].startswith('"agent";r=4;t=6')
    assert answers[1]["RateLimit"].startswith('"agent";r=3;t=6')
    missing = api.get("/api/v1/notifications/0198a000-0000-7000-8000-000000000000")
    assert missing.status_code == 404
    assert missing["RateLimit"].startswith('"agent";r=2;t=6')
    refused = api.post("/api/v1/notifications", {"to": 5}, format="json")
    assert refused.status_code == 400
    assert refused["RateLimit"].startswith('"agent";r=1;t=6')


def test_who_asks_too_often_is_told_when_to_ask_again(api, five):
    for _ in range(5):
        assert api.get(WHOAMI).status_code == 200
    refused = api.get(WHOAMI)
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert 60 <= int(refused["Retry-After"]) <= 62
    assert re.fullmatch(r'"agent";r=0;t=6[0-2]', refused["RateLimit"])
    problem = refused.json()
    assert problem["code"] == "rate_limited"
    assert problem["detail"].startswith("More than 5 requests in 60 s. Ask again in 6")


def test_asking_while_refused_makes_nobody_wait_longer(api, five):
    for _ in range(50):
        refused = api.get(WHOAMI)
    assert int(refused["Retry-After"]) <= 62


def test_each_key_and_each_person_has_a_limit_of_its_own(agent, api, person, five):
    for _ in range(6):
        api.get(WHOAMI)
    other = APIClient()
    _, secret = keys.issue(agent, list(Scope))
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert other.get(WHOAMI).status_code == 200
    assert person.get(WHOAMI)["RateLimit-Policy"] == '"user";q=2;w=1'
    assert person.get(WHOAMI).status_code == 200
    assert person.get(WHOAMI).status_code == 429


def test_the_limit_ends(api, settings):
    settings.API_LIMITS = {"agent": Rate(1, 0.2), "user": None}
    assert api.get(WHOAMI).status_code == 200
    assert api.get(WHOAMI)["Retry-After"] == "1"
    threading.Event().wait(0.25)
    assert api.get(WHOAMI).status_code == 200


def test_without_a_limit_there_is_nothing_to_tell(api, settings):
    settings.API_LIMITS = {"agent": None, "user": None}
    assert "RateLimit" not in api.get(WHOAMI)


@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/api/v1/whoami", "/webhooks/sendgrid/"]
)
def test_who_is_not_known_has_no_limit(db, five, path):
    for _ in range(7):
        answer = APIClient().get(path)
    assert answer.status_code != 429
    assert "RateLimit" not in answer


@pytest.mark.django_db(transaction=True)
def test_two_hundred_requests_at_once_get_fifty(settings, transactional_db):
    settings.API_LIMITS = {"agent": Rate(50, 60), "user": None}
    _, secret = keys.issue(ApiClient.objects.create(name="eager"), list(Scope))

    def ask(_: int) -> int:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        try:
            return client.get(WHOAMI).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(200)))
    assert (answers.count(200), answers.count(429)) == (50, 150)


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "reset"])
def test_with_valkey_away_a_share_of_the_limit_is_left(api, broker, settings, fault):
    settings.API_LIMITS = {"agent": Rate(8, 60), "user": None}
    settings.LIMIT_PROCESSES = 2
    with broker.fault(fault):
        answers = [api.get(WHOAMI) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert int(answers[-1]["Retry-After"]) >= 60
    valkey._silent_until = 0.0
    assert api.get(WHOAMI).status_code == 200
