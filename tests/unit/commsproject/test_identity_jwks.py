from __future__ import annotations

import contextlib
import threading
import time

import pytest

from commsproject.common.identity import jwks
from commsproject.common.identity import service as identity_service
from commsproject.common.identity.errors import IdentityUnavailable, InvalidCredentials
from commsproject.common.identity.jwks import SigningKeys
from tests.fakes.behaviours import Behaviour, Hang, MalformedJson, Status
from tests.fakes.identity import IdentityServer


class Clock:
    """The time of key sets, which a test sets: a busy machine would use up any short wait."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(jwks, "time", made)
    monkeypatch.setattr(identity_service, "time", made)
    return made


@pytest.fixture
def service():
    with IdentityServer() as running:
        yield running


def test_the_set_is_fetched_once_for_many_keys(service):
    keys = SigningKeys(service.jwks_url)
    for _ in range(20):
        assert [keys.find(key.kid).key_id for key in service.keys]
    assert len(service.ledger) == 1


def test_an_unknown_kid_fetches_the_set_once_per_cool_down(service, clock):
    keys = SigningKeys(service.jwks_url, cooldown=0.2)
    for kid in ("a", "b", "c"):
        with pytest.raises(InvalidCredentials):
            keys.find(kid)
    assert len(service.ledger) == 1
    clock.sleep(0.21)
    with pytest.raises(InvalidCredentials):
        keys.find("d")
    assert len(service.ledger) == 2


def test_a_rotation_is_followed_as_soon_as_the_cool_down_allows(service, clock):
    keys = SigningKeys(service.jwks_url, cooldown=0.2)
    old = service.keys[0].kid
    keys.find(old)
    service.rotate()
    new = service.keys[0].kid
    with pytest.raises(InvalidCredentials):
        keys.find(new)
    clock.sleep(0.21)
    assert keys.find(new).key_id == new
    with pytest.raises(InvalidCredentials):
        keys.find(old)


def test_a_key_that_left_the_set_is_refused_after_the_next_refresh(service, clock):
    keys = SigningKeys(service.jwks_url, refresh_after=0.2)
    old = service.keys[0].kid
    keys.find(old)
    service.rotate()
    assert keys.find(old).key_id == old
    clock.sleep(0.21)
    with pytest.raises(InvalidCredentials):
        keys.find(old)


def test_known_keys_outlive_an_outage_but_not_for_ever(service, clock):
    keys = SigningKeys(service.jwks_url, refresh_after=0.1, keep=0.5, cooldown=0.1, pause=0.1)
    kid = service.keys[0].kid
    keys.find(kid)
    service.refuse()
    clock.sleep(0.15)
    assert keys.find(kid).key_id == kid
    clock.sleep(0.4)
    with pytest.raises(IdentityUnavailable):
        keys.find(kid)
    service.accept()
    clock.sleep(0.11)
    assert keys.find(kid).key_id == kid


@pytest.mark.parametrize(
    "behaviour",
    [
        Status(500),
        Status(404),
        Status(200, []),
        Status(200, {"keys": []}),
        Status(200, {"keys": "none"}),
        Status(200, {"keys": [{"kty": "new"}]}),
        Status(200, b"[" * 100_000),
        MalformedJson(),
    ],
    ids=str,
)
def test_no_usable_set_is_an_outage(service, behaviour: Behaviour):
    service.script.always(behaviour)
    with pytest.raises(IdentityUnavailable):
        SigningKeys(service.jwks_url).find("any")


def test_a_service_that_was_away_at_start_is_found_when_it_comes(service, clock):
    service.refuse()
    keys = SigningKeys(service.jwks_url, pause=0.1)
    with pytest.raises(IdentityUnavailable):
        keys.find("any")
    service.accept()
    with pytest.raises(IdentityUnavailable):
        keys.find(service.keys[0].kid)
    assert len(service.ledger) == 0
    clock.sleep(0.11)
    keys.find(service.keys[0].kid)


def test_requests_do_not_queue_up_behind_a_hanging_service(service):
    service.script.always(Hang())
    keys = SigningKeys(service.jwks_url)
    waited = _find_at_once(keys, ["any"] * 20)
    assert max(waited) < 3
    assert len(service.ledger) == 1


def test_a_known_key_does_not_wait_for_the_fetch_of_an_unknown_one(service):
    keys = SigningKeys(service.jwks_url, cooldown=0)
    known = service.keys[0].kid
    keys.find(known)
    service.script.always(Hang())
    stranger = threading.Thread(target=_find_at_once, args=(keys, ["unknown"]))
    stranger.start()
    service.ledger.wait_for(2)
    (waited,) = _find_at_once(keys, [known])
    assert waited < 0.5
    stranger.join()


def test_a_refresh_that_hangs_holds_up_one_request_only(service, clock):
    keys = SigningKeys(service.jwks_url, refresh_after=0.1)
    known = service.keys[0].kid
    keys.find(known)
    service.script.always(Hang())
    clock.sleep(0.11)
    waited = sorted(_find_at_once(keys, [known] * 10))
    assert waited[-2] < 1
    assert waited[-1] < 3


def test_a_shared_secret_in_the_set_is_not_used(service):
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "shared"}
    encryption = {**service.keys[0].jwk(), "kid": "other-use", "use": "enc"}
    service.script.always(Status(200, {"keys": [secret, encryption]}))
    keys = SigningKeys(service.jwks_url)
    for kid in ("shared", "other-use"):
        with pytest.raises(InvalidCredentials):
            keys.find(kid)


def _find_at_once(keys: SigningKeys, kids: list[str]) -> list[float]:
    """Seconds that each of these look-ups took, all at the same time."""
    waited: list[float] = []

    def find(kid: str) -> None:
        started = time.monotonic()
        with contextlib.suppress(IdentityUnavailable, InvalidCredentials):
            keys.find(kid)
        waited.append(time.monotonic() - started)

    threads = [threading.Thread(target=find, args=(kid,)) for kid in kids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waited
