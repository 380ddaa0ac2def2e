"""The tokens against PyJWT, used the way a careful service uses it."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests

from tests.fakes.behaviours import Hang, MalformedJson, Status
from tests.fakes.identity import VALIDATE_PATH, IdentityServer
from tests.fakes.tokens import Algorithm


def claims_of(identity: IdentityServer, token: str) -> dict[str, Any]:
    keys = jwt.PyJWKSet.from_dict(requests.get(identity.jwks_url, timeout=5).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm_name],
        audience=identity.mint.audience,
        issuer=identity.mint.issuer,
        options={"require": ["exp", "sub"]},
    )


def validate(identity: IdentityServer, token: str, timeout: float = 5) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(identity.validate_url, headers=headers, timeout=timeout)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token(identity: IdentityServer, algorithm: Algorithm) -> None:
    token = identity.mint.valid("u-7", algorithm=algorithm, roles=["guest"])

    assert claims_of(identity, token)["sub"] == "u-7"
    answer = validate(identity, token)
    assert answer.status_code == 200
    assert answer.json()["claims"]["roles"] == ["guest"]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("expired", jwt.ExpiredSignatureError),
        ("not_yet", jwt.ImmatureSignatureError),
        ("wrong_issuer", jwt.InvalidIssuerError),
        ("wrong_audience", jwt.InvalidAudienceError),
        ("without_subject", jwt.MissingRequiredClaimError),
        ("without_expiry", jwt.MissingRequiredClaimError),
        ("unknown_kid", KeyError),
        ("forged_kid", jwt.InvalidSignatureError),
        ("tampered", jwt.InvalidSignatureError),
        ("alg_none", jwt.InvalidAlgorithmError),
        ("hs256_with_public_key", jwt.InvalidAlgorithmError),
    ],
)
def test_a_bad_token_is_refused_here_and_there(
    identity: IdentityServer, bad: str, error: type[Exception]
) -> None:
    token = getattr(identity.mint, bad)()
    with pytest.raises(error):
        claims_of(identity, token)
    assert validate(identity, token).status_code == 401


def test_rotation_takes_the_old_keys_away(identity: IdentityServer) -> None:
    old = identity.mint.valid()
    identity.rotate(keep_old=True)
    assert claims_of(identity, old)["sub"] == "u-1"
    identity.rotate()
    with pytest.raises(KeyError):
        claims_of(identity, old)
    assert claims_of(identity, identity.mint.valid())["sub"] == "u-1"


def test_validate_takes_the_token_in_the_body_and_knows_the_revoked(
    identity: IdentityServer,
) -> None:
    token = identity.mint.valid()
    body = {"token": token}
    assert requests.post(identity.validate_url, json=body, timeout=5).status_code == 200
    identity.revoke(token)
    assert requests.post(identity.validate_url, json=body, timeout=5).status_code == 401


def test_validate_can_hang_fail_and_talk_nonsense_while_the_jwks_is_well(
    identity: IdentityServer,
) -> None:
    identity.script.when(VALIDATE_PATH, Hang(), Status(503), MalformedJson())
    token = identity.mint.valid()

    with pytest.raises(requests.ReadTimeout):
        validate(identity, token, timeout=0.3)
    assert validate(identity, token).status_code == 503
    with pytest.raises(requests.exceptions.JSONDecodeError):
        validate(identity, token).json()
    assert claims_of(identity, token)["sub"] == "u-1"
    identity.refuse()
    with pytest.raises(requests.ConnectionError):
        validate(identity, token)
