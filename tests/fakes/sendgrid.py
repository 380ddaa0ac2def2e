"""SendGrid's v3 mail/send, with the checks the real one makes at once."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response

MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
MAX_BYTES = 30 * 2**20
MAX_CUSTOM_ARGS = 10_000
MAX_CATEGORIES = 10
MAX_AHEAD = 72 * 3600


class MailError(Exception):
    """A request SendGrid answers with 400."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SentMail:
    """One message to one address, accepted."""

    recipient: str
    message_id: str
    subject: str
    custom_args: dict[str, str]
    categories: list[str]
    personalization: dict[str, Any]
    payload: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


class SendGridServer(FakeHttpServer):
    """`messages` holds what would be delivered, one entry for each address."""

    def __init__(self, api_key: str = "SG.fake") -> None:
        super().__init__()
        self.api_key = api_key
        self.also: frozenset[str] = frozenset()
        """Keys beside it that are good too, while they are changed."""
        self.messages: Ledger[SentMail] = Ledger()
        self.scopes = ["mail.send", "whitelabel.read"]
        self.domains: list[dict[str, Any]] = [{"domain": "example.com", "valid": True}]
        self.senders: list[dict[str, Any]] = []

    @property
    def api_url(self) -> str:
        return f"{self.url}/v3/"

    @property
    def env(self) -> dict[str, str]:
        """What has the service send by it, as fast as it can."""
        return {
            "SENDGRID_API_KEY": self.api_key,
            "SENDGRID_API_URL": self.api_url,
            "SENDGRID_LIMIT": "none",
        }

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        data = request.json if isinstance(request.json, dict) else {}
        return tuple(email for person in _dicts(data, "personalizations") for email in _to(person))

    @override
    def respond(self, request: Request) -> Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in {self.api_key, *self.also}:
            text = "The provided authorization grant is invalid, expired, or revoked"
            return errors(401, text)
        if request.method == "GET" and (account := self._account(request.path)):
            return account
        if request.path != "/v3/mail/send":
            return errors(404, "not found")
        if request.method != "POST":
            return errors(405, "method not allowed")
        if len(request.body) > MAX_BYTES:
            return errors(413, "The request payload is too large.")
        try:
            check(request.json)
        except MailError as problem:
            return errors(400, str(problem), problem.field)
        return self._take(request.json)

    @override
    def error(self, status: int) -> Response:
        return errors(status, "too many requests" if status == 429 else f"scripted {status}")

    def throttled(self, reset_in: float = 1) -> Status:
        """The real 429: no Retry-After, but when the limit resets, in epoch seconds."""
        reset = math.ceil(time.time() + reset_in)
        headers = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0"}
        return Status(429, headers={**headers, "X-RateLimit-Reset": str(reset)})

    def _account(self, path: str) -> Response | None:
        """What a key is told of its account, as far as its scopes go."""
        if path == "/v3/scopes":
            return Response.of(200, {"scopes": self.scopes})
        shown = {
            "/v3/whitelabel/domains": self.domains,
            "/v3/verified_senders": {"results": self.senders},
        }
        if path not in shown:
            return None
        allowed = "whitelabel.read" in self.scopes
        return Response.of(200, shown[path]) if allowed else errors(403, "access forbidden")

    def _take(self, payload: dict[str, Any]) -> Response:
        if _sandboxed(payload):
            return Response(200)
        message_id = secrets.token_urlsafe(16)
        for person in payload["personalizations"]:
            for recipient in _to(person):
                self.messages.add(_sent(recipient, message_id, person, payload))
        return Response(202, b"", {"X-Message-Id": message_id})


def errors(status: int, message: str, field: str | None = None) -> Response:
    """SendGrid's shape of an error."""
    return Response.of(status, {"errors": [{"message": message, "field": field, "help": None}]})


def check(mail: Any) -> None:
    """Raise what the real one answers with 400."""
    if not isinstance(mail, dict):
        raise MailError("Bad Request")
    _check_personalizations(mail)
    _check_address(mail.get("from"), "from.email")
    _check_content(mail)
    _check_subject(mail)
    _check_extras(mail)


def _check_personalizations(mail: dict[str, Any]) -> None:
    people = mail.get("personalizations")
    if not isinstance(people, list) or not people:
        raise MailError(
            "The personalizations field is required and must have at least one personalization.",
            "personalizations",
        )
    if len(people) > MAX_PERSONALIZATIONS:
        raise MailError("There is a limit of 1000 personalizations.", "personalizations")
    for number, person in enumerate(people):
        if not isinstance(person, dict) or not person.get("to"):
            place = f"personalizations.{number}.to"
            raise MailError("The to array is required for all personalization objects.", place)
    everyone = list(itertools.chain.from_iterable(_addresses(people)))
    if len(everyone) > MAX_RECIPIENTS:
        raise MailError("There is a limit of 1000 recipients.", "personalizations")
    address, times = Counter(everyone).most_common(1)[0]
    if times > 1:
        raise MailError(
            "Each email address in the personalization block should be unique between to, cc, "
            f"and bcc. We found the following duplicate: [{address}]",
            "personalizations",
        )


def _addresses(people: list[dict[str, Any]]) -> Iterator[list[str]]:
    for number, person in enumerate(people):
        for kind in ("to", "cc", "bcc"):
            for entry in person.get(kind) or []:
                yield [_check_address(entry, f"personalizations.{number}.{kind}.email")]


def _check_address(entry: Any, place: str) -> str:
    email = entry.get("email") if isinstance(entry, dict) else None
    local, _, domain = str(email or "").rpartition("@")
    if not local or not domain or not str(email).isascii() or any(c in str(email) for c in " <>,;"):
        raise MailError("Does not contain a valid address.", place)
    return str(email).lower()


def _check_content(mail: dict[str, Any]) -> None:
    content = mail.get("content") or []
    if not content and not mail.get("template_id"):
        raise MailError(
            "Unless a valid template_id is provided, the content parameter is required. "
            "There must be at least one defined content block.",
            "content",
        )
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not part.get("type"):
            raise MailError("The content type is required.", f"content.{number}.type")
        if not part.get("value"):
            place = f"content.{number}.value"
            raise MailError("The content value must be a string at least one character.", place)
    kinds = [part["type"] for part in content]
    if "text/plain" in kinds[1:]:
        raise MailError("If present, text/plain must be first, followed by text/html.", "content")


def _check_subject(mail: dict[str, Any]) -> None:
    if mail.get("subject") or mail.get("template_id"):
        return
    if not all(person.get("subject") for person in mail["personalizations"]):
        raise MailError("The subject is required.", "subject")


def _check_extras(mail: dict[str, Any]) -> None:
    categories = mail.get("categories") or []
    if len(categories) > MAX_CATEGORIES or len(set(categories)) != len(categories):
        raise MailError("There may be 10 unique categories at most.", "categories")
    if mail.get("send_at", 0) > time.time() + MAX_AHEAD:
        raise MailError("Cannot be scheduled more than 72 hours ahead.", "send_at")
    for person in mail["personalizations"]:
        custom = {**(mail.get("custom_args") or {}), **(person.get("custom_args") or {})}
        if not all(isinstance(value, str) for value in custom.values()):
            raise MailError("The custom_args values must be strings.", "custom_args")
        if sum(len(key) + len(value) for key, value in custom.items()) >= MAX_CUSTOM_ARGS:
            raise MailError("The custom_args must be less than 10,000 bytes.", "custom_args")


def _sandboxed(payload: dict[str, Any]) -> bool:
    sandbox = (payload.get("mail_settings") or {}).get("sandbox_mode") or {}
    return bool(sandbox.get("enable"))


def _sent(
    recipient: str, message_id: str, person: dict[str, Any], payload: dict[str, Any]
) -> SentMail:
    return SentMail(
        recipient=recipient,
        message_id=message_id,
        subject=person.get("subject") or payload.get("subject") or "",
        custom_args={**(payload.get("custom_args") or {}), **(person.get("custom_args") or {})},
        categories=list(payload.get("categories") or []),
        personalization=person,
        payload=payload,
    )


def _dicts(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _to(person: dict[str, Any]) -> list[str]:
    """Every address of a personalization: to, cc and bcc."""
    return [
        entry["email"]
        for kind in ("to", "cc", "bcc")
        for entry in _dicts(person, kind)
        if isinstance(entry.get("email"), str)
    ]
