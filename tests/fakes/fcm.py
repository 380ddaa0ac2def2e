from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response

MAX_PAYLOAD = 4096
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
BAD_TOKEN = "The registration token is not a valid FCM registration token"

STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
STATUSES |= {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


class GoogleTokenServer(FakeHttpServer):
    """Google's token endpoint. Knows one service account."""

    def __init__(
        self, project: str = "comms-test", *, key: rsa.RSAPrivateKey | None = None
    ) -> None:
        super().__init__()
        self.project = project
        self.email = f"push@{project}.iam.gserviceaccount.com"
        self.key = key or rsa.generate_private_key(65537, 2048)
        self.seconds = 3599
        self.valid: set[str] = set()
        """The access tokens that are good now."""

    def service_account(self, **changes: Any) -> str:
        """As the console gives it out."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return json.dumps(
            {
                "type": "service_account",
                "project_id": self.project,
                "private_key_id": "key-1",
                "private_key": pem.decode(),
                "client_email": self.email,
                "token_uri": f"{self.url}/token",
                **changes,
            }
        )

    @override
    def respond(self, request: Request) -> Response:
        form = {name: values[0] for name, values in request.form.items()}
        if form.get("grant_type") != GRANT:
            return Response.of(400, {"error": "unsupported_grant_type"})
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                self.key.public_key(),
                algorithms=["RS256"],
                audience=f"{self.url}/token",
            )
        except jwt.InvalidTokenError:
            return Response.of(400, {"error": "invalid_grant", "error_description": "Bad JWT."})
        if claims["iss"] != self.email or claims["scope"] != SCOPE:
            return Response.of(400, {"error": "invalid_grant"})
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self.valid.add(token)
        given = {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer"}
        return Response.of(200, given)

    @override
    def error(self, status: int) -> Response:
        return Response.of(status, {"error": "invalid_grant" if status == 400 else "server_error"})


class FcmServer(FakeHttpServer):
    """Firebase Cloud Messaging, for one project.

    Takes every device token that looks like one but those in `gone`.
    """

    def __init__(self, google: GoogleTokenServer) -> None:
        super().__init__()
        self.google = google
        self.gone: set[str] = set()
        self.messages: Ledger[dict[str, Any]] = Ledger()

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        message = _message(request)
        return tuple(to for name in ("token", "fid") if isinstance(to := message.get(name), str))

    @override
    def respond(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.google.valid:
            return error(401)
        if request.path != f"/v1/projects/{self.google.project}/messages:send":
            return error(404)
        message = _message(request)
        if problem := next(_problems(message), None):
            return error(400, f"Invalid value at '{problem}'", field=problem)
        (to,) = self.recipients(request)
        if len(to) < 20:
            return error(400, BAD_TOKEN, code="INVALID_ARGUMENT")
        if to in self.gone:
            return error(404, "Requested entity was not found.", code="UNREGISTERED")
        self.messages.add(message)
        name = f"projects/{self.google.project}/messages/0:{secrets.token_hex(8)}"
        return Response.of(200, {"name": name})

    @override
    def error(self, status: int) -> Response:
        return error(status)


def error(status: int, text: str = "", *, code: str = "", field: str = "") -> Response:
    """Google's shape of an error. `code` is that of an FcmError in it, `field` the one at fault."""
    details: list[dict[str, Any]] = []
    if code:
        details.append({"@type": FCM_ERROR, "errorCode": code})
    if field:
        violation = {"field": field, "description": text}
        details.append({"@type": BAD_REQUEST, "fieldViolations": [violation]})
    word = STATUSES.get(status, "UNKNOWN")
    told = {"code": status, "message": text or f"scripted {status}", "status": word}
    return Response.of(status, {"error": {**told, **({"details": details} if details else {})}})


def refuses(status: int, text: str = "", *, code: str = "", field: str = "") -> Status:
    """A behaviour: this answer, whatever the request."""
    return Status(status, error(status, text, code=code, field=field).body)


def _message(request: Request) -> dict[str, Any]:
    message = request.json.get("message") if isinstance(request.json, dict) else None
    return message if isinstance(message, dict) else {}


def _problems(message: dict[str, Any]) -> Iterator[str]:
    """The fields that the real one refuses."""
    if sum(name in message for name in ("token", "fid", "topic", "condition")) != 1:
        yield "message"
    if not all(isinstance(value, str) for value in message.get("data", {}).values()):
        yield "message.data"
    known = {name: message.get(name) for name in ("notification", "data")}
    if len(json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_PAYLOAD:
        yield "message"
    android = message.get("android", {})
    if android.get("priority", "HIGH") not in {"HIGH", "NORMAL"}:
        yield "message.android.priority"
    if not android.get("ttl", "0s").endswith("s"):
        yield "message.android.ttl"
    link = message.get("webpush", {}).get("fcm_options", {}).get("link", "https://")
    if not link.startswith("https://"):
        yield "message.webpush.fcm_options.link"
