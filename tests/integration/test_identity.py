"""Who gets in, over HTTP: real database, real tokens, a real identity service on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import structlog
from django.urls import include, path
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from commsproject.common.identity import issuer, keys
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey
from tests.fakes.behaviours import Behaviour, Hang, MalformedJson, Reset, Status
from tests.fakes.identity import JWKS_PATH, VALIDATE_PATH, IdentityServer


class Letters(APIView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ, "POST": Scope.NOTIFICATIONS_WRITE}

    def get(self, request):
        return Response({"agent": agent(request).client.name})

    def post(self, request):
        return Response({})


class Mixed(APIView):
    required_scopes: ClassVar = {"GET": None}
    allow_end_users = True

    def get(self, request):
        return Response({"agent": agent(request).client.name})


urlpatterns = [
    path("api/v1/", include("commsproject.common.api.urls")),
    path("api/v1/letters", Letters.as_view()),
    path("api/v1/mixed", Mixed.as_view()),
]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

WHOAMI = "/api/v1/whoami"


def get(url: str, credentials: str = "", scheme: str = "Bearer") -> Any:
    headers = {"Authorization": f"{scheme} {credentials}"} if credentials else {}
    return APIClient().get(url, headers=headers)


@pytest.fixture
def billing() -> ApiClient:
    return ApiClient.objects.create(name="billing")


@pytest.fixture
def service():
    with IdentityServer(audience="comms") as running:
        yield running


@pytest.fixture
def by_jwks(service, settings):
    settings.IDENTITY_JWKS_URL = service.jwks_url
    settings.IDENTITY_ISSUER = service.mint.issuer
    settings.IDENTITY_AUDIENCE = "comms"
    return service


@pytest.fixture
def by_asking(service, settings):
    settings.IDENTITY_VALIDATE_URL = service.validate_url
    return service


# Agents


def test_an_agent_is_told_who_it_is(billing):
    until = timezone.now() + timedelta(days=1)
    _, raw = keys.issue(billing, ["templates:read", "audience:read"], until)
    answer = get(WHOAMI, raw)
    assert answer.status_code == 200
    assert answer.json() == {
        "kind": "agent",
        "name": "billing",
        "scopes": ["audience:read", "templates:read"],
        "expires_at": until.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_in_any_case(billing, scheme):
    assert get(WHOAMI, keys.issue(billing, [])[1], scheme).status_code == 200


def test_scopes_decide_method_by_method(billing):
    _, raw = keys.issue(billing, ["notifications:read"])
    assert get("/api/v1/letters", raw).json() == {"agent": "billing"}
    refusal = APIClient().post("/api/v1/letters", headers={"Authorization": f"Bearer {raw}"})
    assert refusal.status_code == 403
    assert refusal.headers["Content-Type"] == "application/problem+json"
    assert refusal.json() == {
        "type": "urn:comms:problem:forbidden",
        "title": "These credentials do not allow this",
        "status": 403,
        "detail": "This needs an API key with the scope notifications:write.",
        "code": "forbidden",
    }


def _revoked(client: ApiClient) -> str:
    key, raw = keys.issue(client, Scope.values)
    keys.revoke(key)
    return raw


def _expired(client: ApiClient) -> str:
    key, raw = keys.issue(client, Scope.values)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return raw


def _of_inactive_agent(client: ApiClient) -> str:
    stopped = ApiClient.objects.create(name="stopped", is_active=False)
    return keys.issue(stopped, Scope.values)[1]


def _wrong_secret(client: ApiClient) -> str:
    return keys.issue(client, Scope.values)[1][:19] + "0" * 43


def _of_whose_agent_is_gone(client: ApiClient) -> str:
    raw = keys.issue(client, Scope.values)[1]
    client.delete()
    return raw


BAD_KEYS: list[Callable[[ApiClient], str]] = [
    _revoked,
    _expired,
    _of_inactive_agent,
    _wrong_secret,
    _of_whose_agent_is_gone,
    lambda _: "comm_live_" + "0" * 8 + "_" + "0" * 43,
    lambda _: "comm_",
    lambda _: "comm_live_x y",
    lambda _: "comm_test_" + "é" * 9,
]


def test_every_bad_key_gets_one_and_the_same_answer(billing):
    answers = [get(WHOAMI, make(billing)) for make in BAD_KEYS]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {'Bearer realm="api"'}
    assert answers[0].json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("scheme", "credentials"), [("", ""), ("Basic", "dTpw"), ("Token", "x"), ("Bearer", " ")]
)
def test_no_credentials_are_401(scheme, credentials):
    answer = get(WHOAMI, credentials, scheme)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


# People


def test_a_person_is_told_who_they_are(by_jwks):
    exp = int(time.time()) + 300
    answer = get(WHOAMI, by_jwks.mint.valid("u-5", exp=exp))
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("expires_at").endswith("Z")
    assert body == {"kind": "user", "user_id": "u-5", "scopes": []}


def test_a_person_is_refused_where_agents_belong(by_jwks):
    answer = get("/api/v1/letters", by_jwks.mint.valid())
    assert answer.status_code == 403
    assert "API key" in answer.json()["detail"]
    assert get("/api/v1/mixed", by_jwks.mint.valid()).status_code == 403


def test_every_bad_token_gets_one_and_the_same_answer(by_jwks):
    mint = by_jwks.mint
    flawed = [
        mint.expired(),
        mint.not_yet(),
        mint.wrong_issuer(),
        mint.wrong_audience(),
        mint.without_subject(),
        mint.without_expiry(),
        mint.unknown_kid(),
        mint.forged_kid(),
        mint.alg_none(),
        mint.hs256_with_public_key(),
        mint.tampered(),
        "a.b.c",
        "nonsense",
        "two words",
        "é",
    ]
    answers = [get(WHOAMI, token) for token in flawed]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert len(by_jwks.ledger) == 1


def test_a_development_token_lets_a_person_in():
    answer = get(WHOAMI, issuer.issue("dev-1", timedelta(minutes=1)))
    assert answer.json()["user_id"] == "dev-1"


@pytest.mark.parametrize("behaviour", [Status(500), MalformedJson(), Reset(), Hang()], ids=str)
def test_without_keys_to_check_with_nobody_gets_in(by_jwks, behaviour: Behaviour):
    by_jwks.script.when(JWKS_PATH, behaviour)
    _assert_unavailable_in_time(by_jwks.mint.valid())


@pytest.mark.parametrize(
    "behaviour", [Status(500), Status(200, {}), MalformedJson(), Reset(), Hang()], ids=str
)
def test_without_an_answer_about_a_token_nobody_gets_in(by_asking, behaviour: Behaviour):
    by_asking.script.when(VALIDATE_PATH, behaviour)
    _assert_unavailable_in_time(by_asking.mint.valid())


def test_an_identity_service_that_is_down_lets_nobody_in(by_asking):
    by_asking.refuse()
    _assert_unavailable_in_time(by_asking.mint.valid())


def _assert_unavailable_in_time(token: str) -> None:
    started = time.monotonic()
    answer = get(WHOAMI, token)
    assert time.monotonic() - started < 3
    assert answer.status_code == 503
    assert answer.json()["code"] == "identity_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert token not in answer.content.decode()


def test_the_identity_service_is_asked_once_about_each_token(by_asking):
    good, bad = by_asking.mint.valid("u-5"), by_asking.mint.expired()
    for _ in range(3):
        assert get(WHOAMI, good).json()["user_id"] == "u-5"
        assert get(WHOAMI, bad).status_code == 401
    assert len(by_asking.ledger) == 2


def test_an_outage_of_the_identity_service_is_no_matter_to_agents(by_jwks, billing):
    by_jwks.refuse()
    assert get(WHOAMI, keys.issue(billing, [])[1]).status_code == 200


# Secrets


def test_credentials_are_in_no_log_line_and_no_answer(by_jwks, billing, caplog, capsys):
    key, raw = keys.issue(billing, [])
    presented = [raw, _wrong_secret(billing), by_jwks.mint.valid(), by_jwks.mint.unknown_kid()]
    with caplog.at_level("DEBUG"), structlog.testing.capture_logs() as lines:
        answers = [get(WHOAMI, credentials) for credentials in presented]
    written = [
        str(lines),
        caplog.text,
        *capsys.readouterr(),
        *(f"{answer.content!r}{answer.headers!r}" for answer in answers),
        repr(key),
    ]
    assert "token refused" in "".join(written)
    secrets = [*(text[19:] for text in presented[:2]), *(t.split(".")[2] for t in presented[2:])]
    assert not [secret for secret in secrets for text in written if secret in text]


# The published description


def test_the_schema_shows_both_kinds_of_credentials():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    schemes = schema["components"]["securitySchemes"]
    assert {name: scheme["scheme"] for name, scheme in schemes.items()} == {
        "apiKey": "bearer",
        "userToken": "bearer",
    }
    paths = schema["paths"]
    assert paths[WHOAMI]["get"]["security"] == [{"apiKey": []}, {"userToken": []}]
    assert paths["/api/v1/letters"]["get"]["security"] == [{"apiKey": []}]
    examples = paths[WHOAMI]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    assert len(examples) == 2
