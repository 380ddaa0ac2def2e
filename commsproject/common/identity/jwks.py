"""The identity service's public keys, by `kid`."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import threading
import time

import structlog
from jwt import PyJWK, PyJWKSet, PyJWTError

from commsproject.common.identity.claims import ALGORITHMS, refused
from commsproject.common.identity.errors import IdentityUnavailable
from commsproject.common.identity.service import CoolDown, call

log = structlog.get_logger(__name__)


class SigningKeys:
    """The keys of one JWKS URL, shared by every request of the process. All times in seconds.

    - A set older than `refresh_after` is fetched anew by one request; the others go on with the old
      one, and so do all while the service is away, until the set is `keep` old. So a key that left
      the set is refused after 5 minutes, or after 1 hour of outage.
    - An unknown kid fetches the set at once, unless it was fetched less than `cooldown` ago.
    - Fetches take a lock. A known kid never waits for it, and after a failed fetch nobody tries
      for `pause`: a request waits for one deadline, not for those of the requests before it.

    PyJWKClient does not fit: it looks up known keys under the lock of the fetch, and forgets them
    when they are due for a refresh.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh_after: float = 300,
        keep: float = 3600,
        cooldown: float = 10,
        pause: float = 5,
    ) -> None:
        self._url = url
        self._refresh_after = refresh_after
        self._keep = keep
        self._unknown_kid_cooldown = cooldown
        self._outage = CoolDown(failures=1, seconds=pause)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._lock = threading.Lock()

    def find(self, kid: str) -> PyJWK:
        """Raises InvalidCredentials where the set has no such key, IdentityUnavailable without one."""
        if self._refresh_after <= self._age < self._keep:
            self._refresh()
        return self._known(kid) or self._fetched(kid)

    @property
    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    def _known(self, kid: str) -> PyJWK | None:
        return self._keys.get(kid) if self._age < self._keep else None

    def _fetched(self, kid: str) -> PyJWK:
        with self._lock:
            if self._known(kid) is None and self._age >= self._unknown_kid_cooldown:
                self._fetch()
        key = self._known(kid)
        if key is None:
            raise refused("unknown kid")
        return key

    def _refresh(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                with contextlib.suppress(IdentityUnavailable):
                    self._fetch()
            finally:
                self._lock.release()

    def _fetch(self) -> None:
        self._outage.check()
        try:
            self._keys = _download(self._url)
        except IdentityUnavailable:
            self._outage.failed()
            raise
        self._outage.succeeded()
        self._fetched_at = time.monotonic()


@functools.lru_cache(maxsize=4)
def signing_keys(url: str) -> SigningKeys:
    """The one `SigningKeys` of this URL in this process."""
    return SigningKeys(url)


def _download(url: str) -> dict[str, PyJWK]:
    answer = call("GET", url)
    try:
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        keys = PyJWKSet.from_dict(json.loads(answer.body)).keys
    except (ValueError, AttributeError, RecursionError, PyJWTError) as error:
        log.warning("no usable JWKS", status=answer.status, error=type(error).__name__)
        raise IdentityUnavailable from None
    return {
        key.key_id: key
        for key in keys
        if key.key_id and key.public_key_use in ("sig", None) and key.algorithm_name in ALGORITHMS
    }
