"""A push service of browsers that checks what the real ones check, and browsers that decrypt."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typing_extensions import override

from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response

MAX_BODY = 4096
MAX_AHEAD = 24 * 3600
PATH = "/wpush/v2/"
MISMATCH = (
    "the VAPID credentials in the authorization header do not correspond to the credentials "
    "used to create the subscriptions."
)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refused(Exception):
    """What the service answers instead of 201."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Browser:
    """With keys of its own; `server_key` is what it was told when it subscribed."""

    def __init__(self, name: str, server_key: str, *, private: int = 0, auth: bytes = b"") -> None:
        self.name = name
        self.server_key = server_key
        self.auth = auth or name.encode().ljust(16, b"-")[:16]
        self.private = ec.derive_private_key(
            private or int.from_bytes(name.encode()) + 2**128, ec.SECP256R1()
        )

    @property
    def p256dh(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, origin: str) -> dict[str, Any]:
        """As `PushSubscription.toJSON()`, at the push service at `origin`."""
        keys = {"p256dh": base64url(self.p256dh), "auth": base64url(self.auth)}
        endpoint = f"{origin}{PATH}{self.name}"
        return {"endpoint": endpoint, "expirationTime": None, "keys": keys}

    def token(self, origin: str, *, server_key: str = "") -> str:
        """The same as our database keeps it."""
        kept = self.subscription(origin)
        del kept["expirationTime"]
        return json.dumps({**kept, "server_key": server_key} if server_key else kept)

    def decrypt(self, body: bytes) -> bytes:
        plain: bytes = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth)
        return plain


@dataclass(frozen=True)
class Pushed:
    """One message as the browser has it."""

    browser: Browser
    plain: bytes
    ttl: int
    urgency: str
    topic: str
    claims: dict[str, Any]
    size: int
    at: float = field(default_factory=time.monotonic)

    @property
    def data(self) -> Any:
        return json.loads(self.plain)


class WebPushServer(FakeHttpServer):
    """`messages` holds what reached a browser."""

    def __init__(self, *browsers: Browser) -> None:
        super().__init__()
        self.browsers = {browser.name: browser for browser in browsers}
        self.messages: Ledger[Pushed] = Ledger()
        self._ids = itertools.count(1)

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        return (request.path.removeprefix(PATH),)

    @override
    def error(self, status: int) -> Response:
        return Response(status, b"no", {"Content-Type": "text/plain"})

    @override
    def respond(self, request: Request) -> Response:
        try:
            self.messages.add(self._pushed(request))
        except Refused as refused:
            return Response(refused.status, str(refused).encode(), {"Content-Type": "text/plain"})
        return Response(201, b"", {"Location": f"{self.url}/m/0:{next(self._ids)}"})

    def _pushed(self, request: Request) -> Pushed:
        browser = self.browsers.get(request.path.removeprefix(PATH))
        if browser is None:
            raise Refused(404, "no such subscription")
        if request.method != "POST":
            raise Refused(405, "POST, please")
        claims = self._claims(request, browser)
        if len(request.body) > MAX_BODY:
            raise Refused(413, "too large")
        if request.headers.get("content-encoding") != "aes128gcm":
            raise Refused(400, "content-encoding")
        ttl, urgency = request.headers.get("ttl", ""), request.headers.get("urgency", "normal")
        topic = request.headers.get("topic", "")
        if not re.fullmatch(r"[0-9]+", ttl) or not re.fullmatch(r"[\w-]{0,32}", topic):
            raise Refused(400, "TTL or Topic")
        if urgency not in {"very-low", "low", "normal", "high"}:
            raise Refused(400, "Urgency")
        try:
            plain = browser.decrypt(request.body)
        except http_ece.ECEException:
            raise Refused(400, "not encrypted for this browser") from None
        return Pushed(browser, plain, int(ttl), urgency, topic, claims, len(request.body))

    def _claims(self, request: Request, browser: Browser) -> dict[str, Any]:
        header = re.fullmatch(r"vapid t=(\S+),k=(\S+)", request.headers.get("authorization", ""))
        if header is None:
            raise Refused(401, "no VAPID")
        token, key = header.groups()
        if key != browser.server_key:
            raise Refused(403, MISMATCH)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(key))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                public,
                algorithms=["ES256"],
                audience=self.url,
                options={"require": ["aud", "exp", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(403, f"invalid JWT: {error}") from None
        if claims["exp"] > time.time() + MAX_AHEAD or list(claims) != sorted(claims):
            raise Refused(403, "invalid JWT: exp or order")
        return claims
