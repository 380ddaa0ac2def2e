"""Postmark, Mailgun, Resend and Brevo: sending one mail, with the checks the real ones make at once."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from typing import Any

from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response


@dataclass(frozen=True)
class SentMail:
    """A mail that was accepted."""

    to: list[str]
    message_id: str
    sender: str
    subject: str
    text: str
    html: str
    reply_to: str
    headers: Mapping[str, str]
    attachments: list[tuple[str, str, bytes]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    template: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)


class EspServer(FakeHttpServer):
    """`messages` holds what would be delivered."""

    def __init__(self, key: str = "fake") -> None:
        super().__init__()
        self.key = key
        self.messages: Ledger[SentMail] = Ledger()
        self._ids = itertools.count(1)

    def next_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012d}"


class PostmarkServer(EspServer):
    @property
    def env(self) -> dict[str, str]:
        """What has the service send by it."""
        return {"POSTMARK_SERVER_TOKEN": self.key, "POSTMARK_API_URL": f"{self.url}/"}

    @override
    def respond(self, request: Request) -> Response:
        if request.headers.get("x-postmark-server-token") != self.key:
            return postmark_error(401, 10, "Bad or missing Server API token.")
        if request.path not in ("/email", "/email/withTemplate/"):
            return Response(404, b"<html>Not found</html>")
        data = request.json
        if not isinstance(data, dict):
            return postmark_error(422, 402, "Received invalid JSON input.")
        hosted = "TemplateId" in data or "TemplateAlias" in data
        if not hosted and not (data.get("TextBody") or data.get("HtmlBody")):
            return postmark_error(422, 300, "Provide either email TextBody or HtmlBody or both.")
        if any(len(key) > 20 or len(value) > 80 for key, value in data.get("Metadata", {}).items()):
            return postmark_error(422, 300, "Invalid metadata content.")
        mail = self._mail(data)
        self.messages.add(mail)
        accepted = {"To": data["To"], "MessageID": mail.message_id, "ErrorCode": 0}
        return Response.of(200, {**accepted, "Message": "OK"})

    @override
    def error(self, status: int) -> Response:
        return postmark_error(status, status, "scripted")

    def _mail(self, data: Mapping[str, Any]) -> SentMail:
        return SentMail(
            to=_addresses(data["To"], data.get("Cc", "")),
            message_id=self.next_id(),
            sender=data["From"],
            subject=data.get("Subject", ""),
            text=data.get("TextBody", ""),
            html=data.get("HtmlBody", ""),
            reply_to=data.get("ReplyTo", ""),
            headers={each["Name"]: each["Value"] for each in data.get("Headers", [])},
            attachments=[
                (each["Name"], _kind(each["ContentType"]), base64.b64decode(each["Content"]))
                for each in data.get("Attachments", [])
            ],
            metadata=data.get("Metadata", {}),
            tags=[data["Tag"]] if "Tag" in data else [],
            template=str(data.get("TemplateId") or data.get("TemplateAlias") or ""),
            variables=data.get("TemplateModel", {}),
        )


def postmark_error(status: int, code: int, message: str) -> Response:
    return Response.of(status, {"ErrorCode": code, "Message": message})


class MailgunServer(EspServer):
    domain = "mg.example.com"

    @override
    def respond(self, request: Request) -> Response:
        expected = base64.b64encode(f"api:{self.key}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return Response(401, b"Forbidden")
        if request.path != f"/v3/{self.domain}/messages":
            return Response.of(200, {"message": "Mailgun Magnificent API"})
        fields, files = _form(request)
        hosted = fields.get("template")
        if not hosted and not (fields.get("text") or fields.get("html")):
            return Response.of(400, {"message": "Need at least one of 'text' or 'html' parameters"})
        mail = self._mail(fields, files)
        self.messages.add(mail)
        return Response.of(200, {"id": mail.message_id, "message": "Queued. Thank you."})

    @override
    def error(self, status: int) -> Response:
        return Response.of(status, {"message": "scripted"})

    def _mail(
        self, fields: Mapping[str, list[str]], files: list[tuple[str, str, bytes]]
    ) -> SentMail:
        first = {name: values[0] for name, values in fields.items()}
        headers = {name[2:]: value for name, value in first.items() if name.startswith("h:")}
        return SentMail(
            to=_addresses(*fields["to"], *fields.get("cc", [])),
            message_id=headers.get("Message-Id", f"<{self.next_id()}@{self.domain}>"),
            sender=first["from"],
            subject=first.get("subject", ""),
            text=first.get("text", ""),
            html=first.get("html", ""),
            reply_to=headers.pop("Reply-To", ""),
            headers=headers,
            attachments=files,
            metadata={name[2:]: value for name, value in first.items() if name.startswith("v:")},
            tags=fields.get("o:tag", []),
            template=first.get("template", ""),
        )


class ResendServer(EspServer):
    keeps_keys = False
    """Whether it knows a request by its idempotency key; the real one does for a day."""

    def __init__(self, key: str = "fake") -> None:
        super().__init__(key)
        self._keys: dict[str, tuple[bytes, Response]] = {}

    @override
    def respond(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return resend_error(403, "invalid_api_key", "API key is invalid")
        if request.path != "/emails":
            return resend_error(404, "not_found", "The requested endpoint does not exist.")
        key = request.headers.get("idempotency-key", "")
        if key in self._keys:
            body, answer = self._keys[key]
            text = "Same idempotency key used with a different request payload."
            same = body == request.body
            return answer if same else resend_error(409, "invalid_idempotent_request", text)
        answer = self._take(request.json)
        if self.keeps_keys and key and answer.status == 200:
            self._keys[key] = (request.body, answer)
        return answer

    @override
    def error(self, status: int) -> Response:
        return resend_error(status, "scripted", "scripted")

    def _take(self, data: Any) -> Response:
        if not isinstance(data, dict) or not (data.get("text") or data.get("html")):
            return resend_error(422, "missing_required_field", "Missing `html` or `text` field.")
        mail = SentMail(
            to=_addresses(*data["to"], *data.get("cc", [])),
            message_id=self.next_id(),
            sender=data["from"],
            subject=data["subject"],
            text=data.get("text", ""),
            html=data.get("html", ""),
            reply_to=", ".join(data.get("reply_to", [])),
            headers=data.get("headers", {}),
            attachments=[
                (each["filename"], _kind(each["content_type"]), base64.b64decode(each["content"]))
                for each in data.get("attachments", [])
            ],
            metadata={tag["name"]: tag["value"] for tag in data.get("tags", [])},
        )
        self.messages.add(mail)
        return Response.of(200, {"id": mail.message_id})


def resend_error(status: int, name: str, message: str) -> Response:
    return Response.of(status, {"statusCode": status, "name": name, "message": message})


class BrevoServer(EspServer):
    keeps_keys = False
    """Whether it knows a request by its idempotency key; the real one does for half an hour."""

    TYPES: Mapping[str, str] = {"csv": "text/csv", "png": "image/png"}

    def __init__(self, key: str = "fake") -> None:
        super().__init__(key)
        self._keys: set[str] = set()

    @override
    def respond(self, request: Request) -> Response:
        if request.headers.get("api-key") != self.key:
            return brevo_error(401, "unauthorized", "Key not found")
        if request.path != "/v3/smtp/email":
            return brevo_error(404, "document_not_found", "Invalid route")
        data = request.json
        if not isinstance(data, dict) or not (data.get("htmlContent") or data.get("templateId")):
            return brevo_error(400, "missing_parameter", "htmlContent is missing")
        if not isinstance(data.get("templateId", 1), int):
            return brevo_error(400, "invalid_parameter", "templateId should be an integer")
        headers = dict(data.get("headers", {}))
        key = headers.pop("idempotencyKey", "")
        if key in self._keys:
            return brevo_error(400, "duplicate_parameter", "idempotencyKey has been used")
        if self.keeps_keys:
            self._keys |= {key} - {""}
        mail = self._mail(data, headers)
        self.messages.add(mail)
        return Response.of(201, {"messageId": mail.message_id})

    @override
    def error(self, status: int) -> Response:
        return brevo_error(status, "scripted", "scripted")

    def throttled(self, reset_in: int = 1) -> Status:
        """The real 429: no Retry-After, but in how many seconds the limit resets."""
        return Status(429, headers={"x-sib-ratelimit-reset": str(reset_in)})

    def _mail(self, data: Mapping[str, Any], headers: Mapping[str, str]) -> SentMail:
        reply_to = data.get("replyTo") or {}
        return SentMail(
            to=[each["email"] for each in [*data["to"], *data.get("cc", [])]],
            message_id=f"<{self.next_id()}@smtp-relay.mailin.fr>",
            sender=f"{data['sender'].get('name', '')} <{data['sender']['email']}>",
            subject=data.get("subject", ""),
            text=data.get("textContent", ""),
            html=data.get("htmlContent", ""),
            reply_to=f"{reply_to.get('name', '')} <{reply_to['email']}>" if reply_to else "",
            headers=headers,
            attachments=[
                (
                    each["name"],
                    self.TYPES[each["name"].rpartition(".")[2]],
                    base64.b64decode(each["content"]),
                )
                for each in data.get("attachment", [])
            ],
            tags=data.get("tags", []),
            template=str(data.get("templateId", "")),
            variables=data.get("params", {}),
        )


def brevo_error(status: int, code: str, message: str) -> Response:
    return Response.of(status, {"code": code, "message": message})


def _addresses(*texts: str) -> list[str]:
    return [address for _, address in getaddresses(filter(None, texts))]


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0]


def _form(request: Request) -> tuple[dict[str, list[str]], list[tuple[str, str, bytes]]]:
    """Fields and files of a form, whichever way it is encoded."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return request.form, []
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes(head + request.body)
    fields: dict[str, list[str]] = {}
    files: list[tuple[str, str, bytes]] = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        if filename := part.get_filename():
            raw = filename.encode("utf-8", "surrogateescape").decode()
            files.append((raw, part.get_content_type(), content))
        else:
            fields.setdefault(name, []).append(content.decode())
    return fields, files
