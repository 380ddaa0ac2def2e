from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ImproperlyConfigured

from commsproject.common.identity import claims, issuer, tokens
from commsproject.common.identity.errors import IdentityUnavailable, InvalidCredentials
from tests.fakes.identity import IdentityServer
from tests.fakes.tokens import Key


@pytest.fixture(scope="module")
def running():
    """One for all tests that leave it as it is: its keys take a while to make."""
    with IdentityServer(audience="comms") as server:
        yield server


@pytest.fixture
def service(running, settings):
    return _trusted(running, settings)


@pytest.fixture
def own_service(settings):
    with IdentityServer(audience="comms") as server:
        yield _trusted(server, settings)


def _trusted(server, settings):
    settings.IDENTITY_JWKS_URL = server.jwks_url
    settings.IDENTITY_ISSUER = server.mint.issuer
    settings.IDENTITY_AUDIENCE = "comms"
    return server


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_tells_who_and_until_when(service, algorithm):
    exp = int(time.time()) + 77
    identity = tokens.validate(service.mint.valid("u-9", algorithm=algorithm, exp=exp))
    assert identity.user_id == "u-9"
    assert identity.expires_at == datetime.fromtimestamp(exp, UTC)


@pytest.mark.parametrize(
    "flaw",
    [
        "expired",
        "not_yet",
        "wrong_issuer",
        "wrong_audience",
        "without_subject",
        "without_expiry",
        "unknown_kid",
        "forged_kid",
        "alg_none",
        "hs256_with_public_key",
        "tampered",
    ],
)
def test_a_bad_token_is_refused_with_one_and_the_same_error(service, flaw):
    with pytest.raises(InvalidCredentials) as refusal:
        tokens.validate(getattr(service.mint, flaw)())
    assert refusal.value.detail == claims.REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"aud": None},
        {"aud": ["other"]},
        {"iat": 9_999_999_999},
        {"exp": "never"},
        {"exp": float("inf")},
        {"nbf": "soon"},
        {"sub": 7},
        {"sub": ""},
        {"sub": " "},
        {"sub": "a\u0000b"},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
        {"sub": "x" * 256},
    ],
    ids=str,
)
def test_a_claim_that_does_not_hold_is_refused(service, changes):
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.valid(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"aud": ["other", "comms"]}, {"exp": 1e18}, {"sub": "Zoë|auth0:1"}, {"sub": "x" * 255}],
    ids=str,
)
def test_unusual_but_good_claims_are_taken(service, changes):
    tokens.validate(service.mint.valid(**changes))


def test_clocks_may_differ_by_half_a_minute(service):
    tokens.validate(service.mint.expired(ago=20))
    tokens.validate(service.mint.not_yet(ahead=20))
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.expired(ago=40))
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.not_yet(ahead=40))


def test_a_token_ends_while_its_keys_are_cached(service):
    token = service.mint.valid()
    tokens.validate(token)
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(hours=1)),
        pytest.raises(InvalidCredentials),
    ):
        tokens.validate(token)


def test_an_audience_in_the_token_is_no_harm_where_none_is_set(service, settings):
    settings.IDENTITY_AUDIENCE = ""
    settings.IDENTITY_ISSUER = ""
    tokens.validate(service.mint.wrong_audience())


def test_a_key_too_short_to_trust_is_not_trusted(own_service):
    weak = Key("weak", "RS256", rsa.generate_private_key(65537, 1024))
    own_service.keys = [weak]
    content = {"iss": own_service.mint.issuer, "aud": "comms", "sub": "u", "exp": time.time() + 60}
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = jwt.encode(content, weak.private, "RS256", headers={"kid": "weak"})
    with pytest.raises(InvalidCredentials):
        tokens.validate(token)


def _token(header: bytes, payload: bytes = b"{}") -> str:
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload))
    return ".".join([*parts, "AA"])


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "\ud800.e30.AA",
        "x" * 10_000,
        _token(b"[" * 5000),
        _token(b"[]"),
        _token(b"{}"),
        _token(b'{"alg": "RS256"}'),
        _token(b'{"alg": "RS256", "kid": ""}'),
        _token(b'{"alg": "RS256", "kid": 1}'),
        _token(b'{"alg": "RS256", "kid": ["a"]}'),
        _token(b'{"alg": "RS256", "kid": "k", "crit": ["x"]}'),
        _token(b'{"alg": "RS256", "kid": "k"}', b"[" * 3000),
    ],
    ids=lambda raw: ascii(raw[:40]),
)
def test_what_is_no_token_is_refused(service, raw):
    with pytest.raises(InvalidCredentials):
        tokens.validate(raw)


def test_a_token_of_unreasonable_length_is_refused_unread(service):
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.valid(padding="x" * tokens.MAX_LENGTH))


def test_a_missing_jwks_lets_nobody_in(own_service):
    own_service.refuse()
    with pytest.raises(IdentityUnavailable):
        tokens.validate(own_service.mint.valid())


def test_without_an_identity_service_no_token_is_good(service, settings):
    settings.IDENTITY_JWKS_URL = ""
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.valid())


def test_the_validate_url_serves_where_there_is_no_jwks(service, settings):
    settings.IDENTITY_JWKS_URL = ""
    settings.IDENTITY_VALIDATE_URL = service.validate_url
    assert tokens.validate(service.mint.valid("u-3")).user_id == "u-3"


def test_a_development_token_is_good_beside_an_identity_service(own_service):
    identity = tokens.validate(issuer.issue("dev-1", timedelta(minutes=5)))
    assert identity.user_id == "dev-1"
    assert len(own_service.ledger) == 0


def test_a_development_token_is_worth_nothing_where_that_issuer_is_off(service, settings):
    token = issuer.issue("dev-1", timedelta(minutes=5))
    settings.IDENTITY_DEVELOPMENT_ISSUER = False
    with pytest.raises(InvalidCredentials):
        tokens.validate(token)
    with pytest.raises(ImproperlyConfigured):
        issuer.issue("dev-1", timedelta(minutes=5))
    with pytest.raises(ImproperlyConfigured):
        issuer.verified(token)


def test_a_development_token_of_another_installation_is_refused(settings):
    token = issuer.issue("dev-1", timedelta(minutes=5))
    settings.SECRET_KEY = "another"
    with pytest.raises(InvalidCredentials):
        tokens.validate(token)


def test_a_development_token_ends(settings):
    token = issuer.issue("dev-1", timedelta(minutes=5))
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)),
        pytest.raises(InvalidCredentials),
    ):
        tokens.validate(token)


@pytest.mark.parametrize("user_id", ["", "a\nb", "x" * 256])
def test_a_development_token_needs_a_usable_user_id(user_id):
    with pytest.raises(InvalidCredentials):
        issuer.issue(user_id, timedelta(minutes=5))


def test_the_identity_service_cannot_pose_as_the_development_issuer(service):
    with pytest.raises(InvalidCredentials):
        tokens.validate(service.mint.valid(iss=issuer.ISSUER, aud=issuer.AUDIENCE))
