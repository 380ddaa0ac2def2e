from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http2 import FakeHttp2Server
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response

MAX_BYTES = 4096
TOKEN_SECONDS = 3600.0


class ApnsServer(FakeHttp2Server):
    """Apple's push service, as far as its documentation says what it does.

    Knows one team, one topic and one key at a time; every device but those in `gone`.
    """

    def __init__(self, *, team_id: str = "TEAM123456", topic: str = "com.example.app") -> None:
        super().__init__()
        self.team_id, self.topic = team_id, topic
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.gone: dict[str, int] = {}
        """Device tokens that are no more, and since when, in epoch milliseconds."""
        self.not_before = 0.0
        """Provider tokens that are older have expired, whatever their age."""
        self.pushes: Ledger[Request] = Ledger()

    def new_key(self, key_id: str) -> str:
        """A key of the team, as Apple gives it out: PKCS 8 in PEM."""
        key = self.keys[key_id] = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        return (request.path.rpartition("/")[2],)

    @override
    def respond(self, request: Request) -> Response:
        refusal = self._routing(request) or self._token(request) or self._content(request)
        if refusal:
            return refused(*refusal, apns_id=request.headers.get("apns-id", ""))
        device = self.recipients(request)[0]
        if since := self.gone.get(device):
            return refused(410, "Unregistered", timestamp=since)
        if not device.strip("0"):
            return refused(400, "BadDeviceToken")
        self.pushes.add(request)
        return Response(200, b"", {"apns-id": request.headers.get("apns-id", str(uuid4()))})

    @override
    def error(self, status: int) -> Response:
        return refused(status, {429: "TooManyRequests", 503: "ServiceUnavailable"}.get(status, "x"))

    def _routing(self, request: Request) -> tuple[int, str] | None:
        if not request.path.startswith("/3/device/"):
            return 404, "BadPath"
        if request.method != "POST":
            return 405, "MethodNotAllowed"
        device = self.recipients(request)[0]
        if not device:
            return 400, "MissingDeviceToken"
        if not _is_hex(device):
            return 400, "BadDeviceToken"
        return None

    def _token(self, request: Request) -> tuple[int, str] | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return 403, "MissingProviderToken"
        try:
            key = self.keys[jwt.get_unverified_header(token)["kid"]].public_key()
            claims = jwt.decode(token, key, algorithms=["ES256"], options={"verify_iat": False})
        except (KeyError, jwt.InvalidTokenError):
            return 403, "InvalidProviderToken"
        if claims.get("iss") != self.team_id:
            return 403, "InvalidProviderToken"
        if claims["iat"] < max(time.time() - TOKEN_SECONDS, self.not_before):
            return 403, "ExpiredProviderToken"
        return None

    def _content(self, request: Request) -> tuple[int, str] | None:
        headers = request.headers
        if "apns-topic" not in headers:
            return 400, "MissingTopic"
        if headers["apns-topic"] != self.topic:
            return 400, "DeviceTokenNotForTopic"
        if headers.get("apns-push-type") != "alert":
            return 400, "InvalidPushType"
        if headers.get("apns-priority", "10") not in {"1", "5", "10"}:
            return 400, "BadPriority"
        if not headers.get("apns-expiration", "0").isdigit():
            return 400, "BadExpirationDate"
        if len(headers.get("apns-collapse-id", "").encode()) > 64:
            return 400, "BadCollapseId"
        if len(request.body) > MAX_BYTES:
            return 413, "PayloadTooLarge"
        if not isinstance(request.json, dict) or "aps" not in request.json:
            return 400, "PayloadEmpty"
        return None


def refused(status: int, reason: str, *, apns_id: str = "", timestamp: int = 0) -> Response:
    """Apple's shape of an error. `timestamp` is in milliseconds."""
    return Response(status, _body(reason, timestamp), {"apns-id": apns_id} if apns_id else {})


def refuses(status: int, reason: str, *, timestamp: int = 0) -> Status:
    """A behaviour: this answer, whatever the request."""
    return Status(status, _body(reason, timestamp))


def _body(reason: str, timestamp: int) -> bytes:
    told: dict[str, Any] = {"reason": reason}
    if timestamp:
        told["timestamp"] = timestamp
    return json.dumps(told).encode()


def _is_hex(text: str, digits: Collection[str] = "0123456789abcdefABCDEF") -> bool:
    return all(digit in digits for digit in text)
