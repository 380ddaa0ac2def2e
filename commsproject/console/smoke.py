"""Whether an installation works, seen from outside: what `manage.py smoke` asks, one part at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import httpx2
from typing_extensions import override
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

TEST = "webhook.test"
ENDS = {"failed", "dead", "unconfirmed", "bounced", "suppressed", "cancelled", "expired"}


class Failed(Exception):
    """What does not work, and where to look."""


@dataclass(frozen=True)
class Asked:
    """`user_token` of any person; `listen` is where this machine takes webhooks, `webhook_url` where
    the service finds that; `seconds` for each thing that is waited for.
    """

    url: str
    key: str
    user_token: str
    to: str
    listen: tuple[str, int]
    webhook_url: str
    seconds: float


class Smoke:
    """One installation. Each part says what it found, or raises Failed."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._http = httpx2.Client(base_url=asked.url, timeout=10)
        self._sent = ""

    def close(self) -> None:
        self._http.close()

    def health(self) -> str:
        answer = self._call("GET", "/health/ready", key="")
        return f"ready, {answer['status']}"

    def key(self) -> str:
        caller = self._call("GET", "/api/v1/whoami")
        if caller["kind"] != "agent":
            raise Failed("--api-key is the token of a person: give a key of create_api_key.")
        return f"agent {caller['name']}, {len(caller['scopes'])} scopes"

    def send(self) -> str:
        answer = self._notify({"email": self._asked.to}, "email")
        self._sent = answer["id"]
        return f"message {self._sent} accepted"

    def receipt(self) -> str:
        if not self._sent:
            raise Failed("No message was sent.")
        started = time.monotonic()
        status = ""
        for _ in self._moments():
            found = self._call("GET", f"/api/v1/notifications/{self._sent}")
            status = found["status"]
            if status == "delivered":
                return f"delivered after {time.monotonic() - started:.1f} s"
            if status in ENDS:
                reason = found["deliveries"][0]["reason"]
                raise Failed(f"the message is {status}: {reason or 'see its timeline'}.")
        raise Failed(
            f"after {self._asked.seconds:g} s the message is {status}. "
            + ("No worker runs, or its provider is not set up." if status == "queued" else "")
            + ("The provider's receipts do not reach this service." if status == "sent" else "")
        )

    def socket(self) -> str:
        if not self._asked.user_token:
            raise Failed("needs --user-token: a token of any person, by your identity service.")
        user = self._call("GET", "/api/v1/whoami", key=self._asked.user_token).get("user_id")
        if not user:
            raise Failed("--user-token is not the token of a person.")
        ticket = self._call("POST", "/api/v1/ws-ticket", key=self._asked.user_token)["ticket"]
        parts = urlsplit(self._asked.url)
        url = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws/"
        offered = [Subprotocol("comms.v1"), Subprotocol(f"ticket.{ticket}")]
        try:
            with connect(url, subprotocols=offered, proxy=None) as socket:
                _frame(socket, "hello", self._asked.seconds)
                socket.send(json.dumps({"type": "subscribe", "id": "1", "inbox": None}))
                _frame(socket, "ack", self._asked.seconds)
                sent = self._notify({"user_id": user}, "inapp")
                _frame(socket, "notification", self._asked.seconds, about=_id_of(sent))
        except (OSError, WebSocketException) as error:
            raise Failed(f"{url}: {type(error).__name__}: {error}.") from None
        return "connected, subscribed, and a message came"

    def webhook(self) -> str:
        with _receiver(self._asked.listen) as receiver:
            host, port = receiver.server_address[:2]
            url = self._asked.webhook_url or f"http://{host!s}:{port}/"
            body = {"url": url, "description": "manage.py smoke"}
            try:
                made = self._call("POST", "/api/v1/webhook-endpoints", json=body)
            except Failed as error:
                raise Failed(f"{error} {_HOW_TO_BE_CALLED}") from None
            try:
                self._call("POST", f"/api/v1/webhook-endpoints/{made['id']}/test")
                return _heard(receiver.heard, made["secret"], self._asked.seconds)
            finally:
                self._call("DELETE", f"/api/v1/webhook-endpoints/{made['id']}")

    def _notify(self, to: dict[str, str], channel: str) -> dict[str, Any]:
        body = {
            "to": to,
            "channels": [channel],
            "content": {"subject": "Smoke test", "text": "Sent by manage.py smoke."},
            "priority": "urgent",
            "reference": "smoke",
        }
        headers = {"Idempotency-Key": uuid.uuid4().hex}  # noqa: TID251 - any unique text
        answer: dict[str, Any]
        answer = self._call("POST", "/api/v1/notifications", json=body, headers=headers)
        (delivery,) = answer["deliveries"]
        if delivery["reason"]:
            raise Failed(f"the message is {delivery['status']}: {delivery['reason']}.")
        return answer

    def _moments(self) -> Iterator[None]:
        """Twice a second, until the time is over."""
        end = time.monotonic() + self._asked.seconds
        never = Event()
        while time.monotonic() < end:
            yield
            never.wait(0.5)

    def _call(self, method: str, path: str, key: str | None = None, **options: Any) -> Any:
        key = self._asked.key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= options.pop("headers", {})
        try:
            answer = self._http.request(method, path, headers=headers, **options)
        except httpx2.HTTPError as error:
            raise Failed(f"{method} {path}: {type(error).__name__}: {error}.") from None
        told = _told(answer)
        if not answer.is_success:
            where = answer.headers.get("location", "")
            why = told.get("detail") or (f"give {where} as URL." if where else _STRANGER)
            raise Failed(f"{method} {path} answers {answer.status_code}: {why}")
        if not told and answer.status_code != 204:
            raise Failed(f"{method} {path} answers {answer.status_code}: {_STRANGER}")
        return _Answer(told, what=f"{method} {path}")


PARTS: Mapping[str, Callable[[Smoke], str]] = {
    "health": Smoke.health,
    "key": Smoke.key,
    "send": Smoke.send,
    "receipt": Smoke.receipt,
    "socket": Smoke.socket,
    "webhook": Smoke.webhook,
}
"""In the order in which they make sense."""

_STRANGER = "no answer of this service; is it behind another address?"


class _Answer(dict[str, Any]):
    """An answer in JSON; what it lacks is Failed."""

    def __init__(self, told: dict[str, Any], what: str) -> None:
        super().__init__(told)
        self._what = what

    def __missing__(self, name: str) -> Any:
        raise Failed(f"{self._what} answers without `{name}`: {_STRANGER}")


def _told(answer: httpx2.Response) -> dict[str, Any]:
    """Empty for what is none of the service's answers."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _id_of(sent: dict[str, Any]) -> str:
    return str(sent["deliveries"][0]["id"])


def _frame(socket: Any, kind: str, seconds: float, about: str = "") -> None:
    """Read until the frame has come. Raises Failed."""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            text = socket.recv(left)
            frame = json.loads(text)
            if frame["type"] in ("error", "refused"):
                raise Failed(f"the socket says {text}.")
            if frame["type"] == kind and about in text:
                return
    except TimeoutError:
        pass
    raise Failed(f"no frame `{kind}` came in {seconds:g} s.")


# --- The webhook's other end -------------------------------------------------------------------

_HOW_TO_BE_CALLED = (
    "The service calls --webhook-url, which has to lead to --listen here: https on a public address, or "
    "one of its WEBHOOK_NETWORKS (127.0.0.0/8 for a service on this machine)."
)

_Heard = tuple[dict[str, str], bytes]


class _Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Taker)
        self.heard: queue.Queue[_Heard] = queue.Queue()


class _Taker(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.put((headers, self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was heard is told once."""


@contextmanager
def _receiver(address: tuple[str, int]) -> Iterator[_Receiver]:
    try:
        server = _Receiver(address)
    except OSError as error:
        raise Failed(f"--listen {address[0]}:{address[1]}: {error.strerror}.") from None
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _heard(heard: queue.Queue[_Heard], secret: str, seconds: float) -> str:
    """Other events may come before the one of the test. Raises Failed."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            headers, body = heard.get(timeout=left)
        except queue.Empty:
            break
        if _signature(secret, headers, body) not in headers.get("webhook-signature", "").split():
            raise Failed("a webhook came, but the endpoint's secret did not sign it.")
        if json.loads(body)["type"] == TEST:
            return f"{TEST} came, signed"
    raise Failed(f"no webhook came in {seconds:g} s. {_HOW_TO_BE_CALLED}")


def _signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    message, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
