"""What push services know devices by: checked, in one normal form, and hashed.

The tokens of FCM and APNs are text. A browser's subscription is kept as JSON:
`{"endpoint", "keys": {"p256dh", "auth"}, "server_key"}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from typing_extensions import override

from notifications.types import Platform

_FCM = re.compile(r"[A-Za-z0-9_:-]{20,4096}")
"""A registration token, or a Firebase installation id (22 characters, no colon)."""
_APNS = re.compile(r"(?:[0-9a-f]{2}){32,100}")
"""Of variable length, says Apple; 32 bytes today, up to 100 announced."""

_URL = re.compile(r"[!-\[\]-~]{1,2000}")
"""Printable ASCII without backslashes, which some take for slashes."""
_HTTPS = re.compile(r"https://([a-z0-9.-]+)/")
"""So narrow that no two parsers can see different hosts in it."""

POINT_BYTES = 65
"""An uncompressed point on P-256 (RFC 8291, section 3.2)."""
AUTH_BYTES = 16


class BadToken(ValueError):
    """Not what the platform's devices are known by; `field` is the part that is wrong.

    The text says why and never repeats it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, repr=False)
class Subscription:
    """A browser's, as RFC 8291 needs it. `p256dh` and `auth` are its keys.

    `server_key` is ours that it was made with, in base64url, where that is known.
    """

    endpoint: str
    p256dh: bytes
    auth: bytes
    server_key: str = ""

    @classmethod
    def of(cls, endpoint: str, p256dh: str, auth: str, server_key: str = "") -> Subscription:
        """From what `PushSubscription.toJSON()` gives. Raises `BadToken`.

        The endpoint comes from outside and we will post to it: only to push services we know.
        """
        if not is_push_service(endpoint):
            raise BadToken("endpoint", "Not an address of a push service that is known here.")
        found = cls(endpoint, _bytes("keys.p256dh", p256dh), _bytes("keys.auth", auth), server_key)
        if len(found.auth) != AUTH_BYTES:
            raise BadToken("keys.auth", f"{AUTH_BYTES} bytes in base64url.")
        try:
            if len(found.p256dh) != POINT_BYTES:
                raise ValueError
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), found.p256dh)
        except ValueError:
            raise BadToken("keys.p256dh", "A public key on P-256, in base64url.") from None
        return found

    @classmethod
    def load(cls, token: str) -> Subscription:
        """From `dump`. Raises `BadToken`: also where its endpoint is no longer allowed."""
        try:
            kept = json.loads(token)
            keys = kept["keys"]
            parts = kept["endpoint"], keys["p256dh"], keys["auth"], kept.get("server_key", "")
            if not all(isinstance(part, str) for part in parts):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadToken("token", "Not a subscription.") from None
        return cls.of(*parts)

    def dump(self) -> str:
        """As it is kept: the same text for the same subscription."""
        keys = {"p256dh": base64url(self.p256dh), "auth": base64url(self.auth)}
        kept = {"endpoint": self.endpoint, "keys": keys}
        if self.server_key:
            kept["server_key"] = self.server_key
        return json.dumps(kept, separators=(",", ":"))

    @property
    def origin(self) -> str:
        """Scheme and host of the push service: whom a VAPID token is for."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    @override
    def __repr__(self) -> str:
        return "<Subscription>"


def normalise(platform: Platform, token: str) -> str:
    """The one form of an FCM or APNs token that is kept and sent to. Raises `BadToken`."""
    if platform is Platform.APNS:
        token = token.lower()
        if not _APNS.fullmatch(token):
            raise BadToken("token", "A device token of APNs: 64 to 200 hexadecimal digits.")
    elif not _FCM.fullmatch(token):
        raise BadToken("token", "A registration token of FCM: letters, digits, `_`, `-` and `:`.")
    return token


def digest(platform: Platform, token: str) -> str:
    """64 hex digits, equal exactly when the device is: of a subscription the endpoint alone."""
    known_by = json.loads(token)["endpoint"] if platform is Platform.WEBPUSH else token
    return hashlib.sha256(f"{platform.value}:{known_by}".encode()).hexdigest()


def service(platform: Platform, token: str) -> str:
    """The host of the push service behind a browser; empty for every other device."""
    if platform is not Platform.WEBPUSH:
        return ""
    return urlsplit(json.loads(token)["endpoint"]).hostname or ""


def is_push_service(endpoint: str) -> bool:
    """Whether `endpoint` is at one of `WEBPUSH_HOSTS`: by https, at the default port.

    `*.example.com` there stands for every name below example.com; an entry with a scheme for this
    one origin as it is. Names only: whoever registers a browser cannot make us call an address of
    our own network.
    """
    if not _URL.fullmatch(endpoint):
        return False
    named = _HTTPS.match(endpoint)
    return any(
        endpoint.startswith(f"{host}/") if "://" in host else named and _matches(named[1], host)
        for host in settings.WEBPUSH_HOSTS
    )


def is_below_a_wildcard(endpoint: str) -> bool:
    """Whether the host of an allowed `endpoint` is none that `WEBPUSH_HOSTS` has by its own name:
    whoever registers a browser can make one up.
    """
    host = urlsplit(endpoint).hostname
    return not any(
        host == (urlsplit(entry).hostname if "://" in entry else entry)
        for entry in settings.WEBPUSH_HOSTS
    )


def base64url(data: bytes) -> str:
    """Without padding, as the Push API writes keys."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _matches(name: str, host: str) -> bool:
    return name.endswith(host[1:]) if host.startswith("*.") else name == host


def _bytes(field: str, text: str) -> bytes:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken(field, "Base64url, please.") from None
