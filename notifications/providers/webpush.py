"""Web Push: to browsers, by the push service that each of them has chosen (RFC 8030).

A message is encrypted for one browser alone (RFC 8188, 8291), and signed for with a VAPID key, which
the browser was told when it subscribed (RFC 8292). Where a browser's push service is comes from
outside: only those in `WEBPUSH_HOSTS` are called, and no redirect is followed.

Facts: the RFCs; mozilla-services.github.io/autopush-rs/errors.html; developer.apple.com,
"Sending web push notifications in web apps and browsers"; learn.microsoft.com, "Push notification
service request and response headers". What Google answers is documented nowhere; see `ANSWERS`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)
from typing_extensions import override

from notifications.providers.account import Check, Verdict
from notifications.providers.common import http, keys, push
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp
from notifications.providers.common.push import PushProvider
from notifications.push_tokens import (
    BadToken,
    Subscription,
    base64url,
    is_below_a_wildcard,
)
from notifications.types import (
    ErrorClass,
    Outbound,
    Platform,
    ProviderError,
    Sent,
)

STATUSES: Mapping[int, ErrorClass] = {
    400: ErrorClass.PERMANENT_MESSAGE,
    401: ErrorClass.AUTH_CONFIG,
    403: ErrorClass.AUTH_CONFIG,
    404: ErrorClass.PERMANENT_RECIPIENT,  # the subscription never was, or is no more
    406: ErrorClass.THROTTLED,  # Microsoft's word for it
    410: ErrorClass.PERMANENT_RECIPIENT,  # the person took the permission back
    413: ErrorClass.PERMANENT_MESSAGE,
    429: ErrorClass.THROTTLED,
    500: ErrorClass.AMBIGUOUS,
    502: ErrorClass.AMBIGUOUS,
    503: ErrorClass.TEMPORARY,
    504: ErrorClass.AMBIGUOUS,
}
"""What is not 201, 200 or 202."""

MISMATCH = "vapid_key_mismatch"

ANSWERS: Sequence[tuple[int, str, ErrorClass, str]] = (
    # Apple
    (400, "VapidPkHashMismatch", ErrorClass.PERMANENT_RECIPIENT, MISMATCH),
    (403, "VapidPkHashMismatch", ErrorClass.PERMANENT_RECIPIENT, MISMATCH),
    # Mozilla, errno 109
    (401, "VAPID public key mismatch", ErrorClass.PERMANENT_RECIPIENT, MISMATCH),
    # Google: "the VAPID credentials in the authorization header do not correspond to the
    # credentials used to create the subscriptions."
    (403, "do not correspond to the credentials", ErrorClass.PERMANENT_RECIPIENT, MISMATCH),
    (403, "does not correspond to the sender ID", ErrorClass.PERMANENT_RECIPIENT, MISMATCH),
    (400, "UnauthorizedRegistration", ErrorClass.AUTH_CONFIG, "UnauthorizedRegistration"),
)
"""Statuses whose body changes what they mean: status, what it contains, class, code.

Seen in bug reports of the web-push libraries (web-push-libs, mozilla-services).
"""

READ_BYTES = 2000
"""Of an answer's body: all known ones are shorter."""

MAX_PAYLOAD = 3993
"""Bytes. Every push service takes a body of 4096, of which encryption needs 103 (RFC 8291, 4)."""

MAX_TTL = 28 * 24 * 3600
"""Seconds: the longest that Google takes."""

TOKEN_SECONDS = 6 * 3600
"""A VAPID token is made anew so often, and holds for as long again at least, 24 h at most."""

USUAL_ORIGIN = "https://fcm.googleapis.com"
"""All push services are reached by the same way out (HTTPS_PROXY) as this one."""


@dataclass(frozen=True, eq=False, repr=False)
class Key:
    """A key pair of VAPID; `public` is what browsers call the applicationServerKey."""

    private: ec.EllipticCurvePrivateKey
    public: str


class WebPush(PushProvider):
    """Options: `private_key` and `subject`, a `mailto:` or `https:` address of whoever answers for
    the messages.

    Several private keys, comma separated, are valid at a time: each browser is served with that it
    subscribed with, new ones get the first. A key is 32 bytes in base64url, or PEM.
    """

    platform = Platform.WEBPUSH

    def __init__(self, name: str, *, private_key: str, subject: str) -> None:
        super().__init__(name)
        self._private_key = private_key
        self._subject = subject
        self._http = LoopHttp(
            USUAL_ORIGIN,
            {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"},
        )

    @property
    def server_keys(self) -> list[str]:
        """Our public keys in base64url, the one for new subscriptions first; none where they cannot
        be read.
        """
        return list(self._keys)

    @override
    def problems(self) -> list[str]:
        found = []
        if not self.server_keys:
            found.append(
                f"{self.name}: VAPID_PRIVATE_KEY is no private key on P-256, in base64url or PEM."
            )
        if not re.fullmatch(r"(mailto:[^@\s]+@|https://)[\w-]+(\.[\w-]+)+(/\S*)?", self._subject):
            found.append(
                f"{self.name}: VAPID_SUBJECT is no mailto: or https: address with a real domain; "
                "Apple refuses every message then."
            )
        return found

    @override
    def check(self) -> Iterator[Check]:
        """Push services keep no accounts: there is nobody to ask."""
        for problem in self.problems():
            yield Check("VAPID", problem, Verdict.FAILED)
        if not self.problems():
            yield Check("VAPID", f"new browsers subscribe with the key {self.server_keys[0][:12]}…")

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with caught(ErrorClass.PERMANENT_MESSAGE):
            endpoint, headers, body = self._request(message)
        try:
            answer = await self._http.post(body, url=endpoint, headers=headers, read=READ_BYTES)
        except ProviderError as error:
            # A host that somebody has made up: it needs no breaker, and nobody need be told.
            error.for_address = error.code == "connect_failed" and is_below_a_wildcard(endpoint)
            raise
        with caught(ErrorClass.AMBIGUOUS):
            return self.receipt(answer)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()

    def receipt(self, answer: Answer) -> Sent:
        """What the push service said. Raises `ProviderError`."""
        if 200 <= answer.status < 300:
            return Sent(_reference(answer), answer.status)
        raise _refused(answer)

    def _request(self, message: Outbound) -> tuple[str, dict[str, str], bytes]:
        """Where to post what. Raises `ProviderError` where nothing can be made of it to be sent."""
        try:
            subscription = Subscription.load(message.to)
        except BadToken as error:
            raise ProviderError(
                ErrorClass.PERMANENT_RECIPIENT, "bad_subscription", str(error)
            ) from None
        key = self._key(subscription)
        plain = payload(message)
        own = ec.generate_private_key(ec.SECP256R1())
        body: bytes = http_ece.encrypt(
            plain, private_key=own, dh=subscription.p256dh, auth_secret=subscription.auth
        )
        left = push.seconds_left(message, MAX_TTL)
        headers = {
            "Authorization": authorization(key, subscription.origin, self._subject, _until()),
            "TTL": str(MAX_TTL if left is None else left),
            "Urgency": push.URGENCY[message.lane],
            "Topic": topic(message),
        }
        return subscription.endpoint, headers, body

    @cached_property
    def _keys(self) -> dict[str, Key]:
        """By their public halves; none where one of them cannot be read."""
        try:
            found = [_load(text) for text in self._private_key.split(",") if text.strip()]
        except ValueError:
            return {}
        return {key.public: key for key in found}

    def _key(self, subscription: Subscription) -> Key:
        """The one that the browser subscribed with."""
        if not self._keys:
            raise ProviderError(
                ErrorClass.AUTH_CONFIG, "private_key", "VAPID_PRIVATE_KEY cannot be read."
            )
        found = self._keys.get(subscription.server_key or self.server_keys[0])
        if found is None:
            raise ProviderError(
                ErrorClass.PERMANENT_RECIPIENT,
                MISMATCH,
                "The browser subscribed with a key that is no longer in VAPID_PRIVATE_KEY.",
                may_be_ours=True,
            )
        return found


def payload(message: Outbound) -> bytes:
    """What the browser's service worker gets: JSON, with `tag` to show a repetition only once.

    Raises `ProviderError` where that cannot be.
    """
    parts = push.content(message)
    told: dict[str, str | int] = {**push.alert(parts), **push.data(message, parts)}
    if image := parts.get("image"):
        told["image"] = image
    if (badge := push.badge(parts)) is not None:
        told["badge"] = badge
    told["tag"] = topic(message)
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    body = text.encode(errors="replace")
    if len(body) > MAX_PAYLOAD:
        push.refuse("too_long", f"{len(body)} bytes; a push message has {MAX_PAYLOAD} at most.")
    return body


def topic(message: Outbound) -> str:
    """Of two messages to one browser with the same topic the later replaces the earlier, so that
    another attempt shows nothing twice. At most 32 characters of base64url (RFC 8030, 5.4).
    """
    if collapse_id := message.parts.get("collapse_id"):
        return base64url(hashlib.sha256(collapse_id.encode(errors="replace")).digest()[:24])
    return base64url(message.delivery_id.bytes)


@lru_cache(maxsize=256)
def authorization(key: Key, origin: str, subject: str, until: int) -> str:
    """The header that proves who sends, to the push service at `origin`, `until` then (epoch s).

    Some push services want the claims sorted.
    """
    claims = {"aud": origin, "exp": until, "sub": subject}
    token = jwt.encode(claims, key.private, algorithm="ES256")
    return f"vapid t={token},k={key.public}"


def _until() -> int:
    """The same for all that is sent within `TOKEN_SECONDS`."""
    return (int(time.time()) // TOKEN_SECONDS + 2) * TOKEN_SECONDS


def _reference(answer: Answer) -> str:
    """Apple's id, else the last part of the message's own address."""
    given = answer.headers.get("apns-id") or answer.headers.get("Location", "")
    return given.rstrip("/").rpartition("/")[2][:255]


def _refused(answer: Answer) -> ProviderError:
    error = http.status_error(answer.status, answer.headers, STATUSES)
    text = answer.body.decode(errors="replace")
    for status, part, error_class, code in ANSWERS:
        if answer.status == status and part in text:
            return ProviderError(
                error_class, code, error.detail, http_status=status, may_be_ours=code == MISMATCH
            )
    return error


def _load(text: str) -> Key:
    """Raises `ValueError`."""
    private = keys.on_p256(lambda: _private(text.strip()))
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Key(private, base64url(point))


def _private(text: str) -> Any:
    if text.startswith("-----BEGIN"):
        return keys.of_pem(text)
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(raw) == 32:
        return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    return load_der_private_key(raw, None)
