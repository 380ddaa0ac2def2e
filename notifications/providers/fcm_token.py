"""An access token for a Google API, of a service account (RFC 7523).

Facts: developers.google.com/identity/protocols/oauth2/service-account. Google's own library,
`google-auth`, would need a thread for each renewal and waits 120 s in it, retries included.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

from commsproject.common.loops import PerLoop
from notifications.providers.common import http, keys
from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp
from notifications.types import ErrorClass, ProviderError

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600

RENEW_BEFORE = 300.0
"""Seconds before its end at which a token is renewed. All but one call go on with the old one."""

USABLE_BEFORE = 30.0
"""Seconds before its end at which a token is not used any more: clocks differ, calls take time."""

READ_BYTES = 16_000
"""Of an answer's body: a token may have 2048 bytes, and more in time."""


@dataclass(frozen=True, repr=False)
class ServiceAccount:
    """What the console's JSON file says."""

    project_id: str
    email: str
    key_id: str
    key: rsa.RSAPrivateKey
    token_uri: str

    @classmethod
    def load(cls, text: str) -> ServiceAccount:
        """Raises `ValueError`, which tells nothing of it."""
        try:
            given = json.loads(text)
            key = keys.of_pem(given["private_key"])
            names = ("project_id", "client_email", "private_key_id", "token_uri")
            project_id, email, key_id, token_uri = (given[name] for name in names)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError("not a service account") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("not an RSA key")
        return cls(str(project_id), str(email), str(key_id), key, str(token_uri))


class AccessToken:
    """One for all threads and loops of a process; renewed on the loop, by one call at a time."""

    def __init__(self, account: ServiceAccount, scope: str) -> None:
        self._account = account
        self._scope = scope
        self._http = LoopHttp(
            account.token_uri, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        self._renewing = PerLoop(asyncio.Lock)
        self._value = ""
        self._ends_at = 0.0  # monotonic

    async def get(self, *, spent: str = "") -> str:
        """A token that is none of `spent`: one that was refused. Raises `ProviderError`; nothing has
        been sent then.
        """
        if self._lasts(RENEW_BEFORE, spent):
            return self._value
        lock = self._renewing.get()
        if lock.locked() and self._lasts(USABLE_BEFORE, spent):
            return self._value
        try:
            async with asyncio.timeout(settings.PROVIDER_CONNECT_TIMEOUT), lock:
                if not self._lasts(RENEW_BEFORE, spent):
                    await self._renew()
        except (ProviderError, TimeoutError) as error:
            if not self._lasts(USABLE_BEFORE, spent):
                raise _without_token(error) from None
        return self._value

    async def aclose(self) -> None:
        self._renewing.pop()
        await self._http.aclose()

    def _lasts(self, seconds: float, spent: str) -> bool:
        return self._value != spent and self._ends_at - time.monotonic() > seconds

    async def _renew(self) -> None:
        asked_at = time.monotonic()
        form = {"grant_type": GRANT, "assertion": self._assertion()}
        answer = await self._http.post(urlencode(form).encode(), read=READ_BYTES)
        given = answer.json
        if answer.status != 200 or not isinstance(given, dict):
            raise _refused(answer)
        value, seconds = given.get("access_token"), given.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
            raise _refused(answer)
        self._value, self._ends_at = value, asked_at + seconds

    def _assertion(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self._account.email,
            "scope": self._scope,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        headers = {"kid": self._account.key_id}
        return jwt.encode(claims, self._account.key, algorithm="RS256", headers=headers)


def _refused(answer: Answer) -> ProviderError:
    """OAuth's word for it (RFC 6749, 5.2): `invalid_grant` is a key that is no more, or a wrong clock."""
    given = answer.json
    word = given.get("error") if isinstance(given, dict) else None
    code = word if isinstance(word, str) else str(answer.status)
    known = http.status_class(answer.status)
    wrong = 300 <= answer.status < 500 and known is not ErrorClass.THROTTLED
    return ProviderError(
        ErrorClass.AUTH_CONFIG if wrong else ErrorClass.TEMPORARY,
        f"token:{code}",
        "Google gave no access token for the service account.",
        http_status=answer.status,
        retry_after=http.retry_after(answer.headers, answer.status),
    )


def _without_token(error: ProviderError | TimeoutError) -> ProviderError:
    """Whatever became of the call for a token, the message has not been sent."""
    if isinstance(error, ProviderError) and error.code.startswith("token:"):
        return error
    if isinstance(error, ProviderError) and error.error_class is ErrorClass.AUTH_CONFIG:
        return ProviderError(error.error_class, f"token:{error.code}", error.detail)
    code = error.code if isinstance(error, ProviderError) else "read_timeout"
    return ProviderError(
        ErrorClass.TEMPORARY, f"token:{code}", "There was no answer to the call for a token."
    )
