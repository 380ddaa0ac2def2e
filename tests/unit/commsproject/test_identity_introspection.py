from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from commsproject.common.identity.errors import IdentityUnavailable, InvalidCredentials
from commsproject.common.identity.introspection import Introspection
from tests.fakes.behaviours import Behaviour, Hang, MalformedJson, Redirect, Reset, Status
from tests.fakes.identity import IdentityServer


@pytest.fixture(scope="module")
def running():
    with IdentityServer() as server:
        yield server


@pytest.fixture
def service(running):
    running.script.reset()
    running.ledger.clear()
    yield running
    running.accept()


@pytest.fixture
def asks(service):
    return Introspection(service.validate_url)


def test_a_good_token_is_asked_about_once_and_never_sent_but_as_a_header(service, asks):
    token = service.mint.valid("u-7")
    assert {asks.validate(token).user_id for _ in range(5)} == {"u-7"}
    (request,) = service.ledger
    assert (request.method, request.target) == ("POST", "/auth/validate")
    assert request.headers["authorization"] == f"Bearer {token}"
    assert request.body == b""


def test_it_holds_until_the_token_says(service, asks):
    exp = int(time.time()) + 30
    identity = asks.validate(service.mint.valid(exp=exp))
    assert identity.expires_at == datetime.fromtimestamp(exp, UTC)


def test_an_accepted_token_is_not_remembered_beyond_its_end(service, asks):
    token = service.mint.valid(exp=int(time.time()) + 1)
    asks.validate(token)
    time.sleep(1.1)
    with pytest.raises(InvalidCredentials):
        asks.validate(token)
    assert len(service.ledger) == 2


def test_a_bad_token_is_asked_about_once(service, asks):
    token = service.mint.wrong_audience()
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            asks.validate(token)
    assert len(service.ledger) == 1


def test_tokens_are_told_apart(service, asks):
    tokens = {name: service.mint.valid(name) for name in ("u-1", "u-2", "u-3")}
    for name in (*tokens, *tokens):
        assert asks.validate(tokens[name]).user_id == name
    assert len(service.ledger) == 3


@pytest.mark.parametrize(
    ("body", "user_id"),
    [
        ({"sub": "a"}, "a"),
        ({"user_id": "b"}, "b"),
        ({"user_id": 42}, "42"),
        ({"sub": "a", "user_id": "b", "active": True, "valid": True}, "a"),
    ],
    ids=str,
)
def test_the_person_is_the_sub_or_user_id_of_the_answer(service, asks, body, user_id):
    service.script.always(Status(200, body))
    identity = asks.validate("opaque-token")
    assert (identity.user_id, identity.expires_at) == (user_id, None)


@pytest.mark.parametrize(
    "behaviour",
    [
        *(Status(status) for status in (400, 401, 403, 422)),
        Status(200, {"valid": False, "sub": "a"}),
        Status(200, {"active": False}),
        Status(200, {"active": "no", "sub": "a"}),
        Status(200, {"sub": ""}),
        Status(200, {"sub": "a\u0000b"}),
        Status(200, {"sub": "x" * 256}),
        Status(200, {"sub": "a", "exp": 1}),
    ],
    ids=str,
)
def test_a_refusal_is_a_refusal_and_remembered(service, asks, behaviour: Behaviour):
    service.script.always(behaviour)
    for _ in range(2):
        with pytest.raises(InvalidCredentials):
            asks.validate("some-token")
    assert len(service.ledger) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        Status(500),
        Status(503),
        Status(429),
        Status(404),
        Status(204, b""),
        Status(200, []),
        Status(200, {}),
        Status(200, {"sub": None}),
        Status(200, {"sub": True}),
        Status(200, {"sub": "a", "exp": "soon"}),
        Status(200, {"sub": "a", "exp": []}),
        Redirect("/auth/validate?again"),
        MalformedJson(),
        Reset(),
        Hang(),
    ],
    ids=str,
)
def test_no_usable_answer_lets_nobody_in_and_is_not_remembered(service, asks, behaviour: Behaviour):
    service.script.next(behaviour)
    started = time.monotonic()
    with pytest.raises(IdentityUnavailable):
        asks.validate(service.mint.valid())
    assert time.monotonic() - started < 3
    assert asks.validate(service.mint.valid()).user_id == "u-1"


def test_after_three_silences_nobody_waits_any_more(service, asks):
    service.script.always(Reset())
    for number in range(3):
        with pytest.raises(IdentityUnavailable):
            asks.validate(f"token-{number}")
    service.script.reset()
    with pytest.raises(IdentityUnavailable):
        asks.validate(service.mint.valid())
    assert len(service.ledger) == 3


def test_error_answers_a_caller_may_provoke_do_not_shut_others_out(service, asks):
    service.script.next(Status(500), times=10)
    for number in range(10):
        with pytest.raises(IdentityUnavailable):
            asks.validate(f"token-{number}")
    assert asks.validate(service.mint.valid()).user_id == "u-1"


def test_those_who_are_known_get_in_during_an_outage(service, asks):
    token = service.mint.valid()
    asks.validate(token)
    service.refuse()
    assert asks.validate(token).user_id == "u-1"


@pytest.mark.parametrize("raw", ["", " ", "a b", "a\r\nX-Admin: 1", "a,b", "\x00"])
def test_what_cannot_be_a_token_is_not_asked_about(service, asks, raw):
    with pytest.raises(InvalidCredentials):
        asks.validate(raw)
    assert len(service.ledger) == 0
