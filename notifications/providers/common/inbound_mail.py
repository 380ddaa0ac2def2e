"""A mail that came in, as a message of a person to us.

Anybody can send us mail, and most of what is wrong in the world's headers comes in. So they are read
as they are (the policy `compat32`): Python's newer one raises on many of them.

Facts: RFC 5322 3.6.4 (References, In-Reply-To), RFC 3834 (automatic answers).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from django.utils import timezone

from notifications.providers.common import mail_origin
from notifications.providers.common.mail_origin import Checks
from notifications.providers.common.reply_text import html_text, reply_text
from notifications.types import Channel, Inbound, storable

MAX_TEXT = 200_000
"""Characters of a body that are read. The raw webhook has the rest."""

MAX_HEADER = 10_000
"""Characters of a header that are read."""

BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
"""The values of Precedence that nobody writes by hand."""

MACHINES = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@", re.IGNORECASE)

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_TOKEN = re.compile(
    r"reply\+([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@(\S+)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, repr=False)
class Mail:
    """What a vendor gives us of a mail: its headers, its two forms, how many files it has."""

    headers: Message
    text: str
    html: str
    attachments: int

    @classmethod
    def of_bytes(cls, raw: bytes) -> Mail:
        """A whole mail (RFC 5322). Raises `ValueError` where it is nested a thousand deep."""
        try:
            mail = message_from_bytes(raw)
        except RecursionError:
            raise ValueError("parts of parts of parts") from None
        parts = [part for part in mail.walk() if not part.is_multipart()]
        files = [part for part in parts if part.get_content_disposition() == "attachment"]
        return cls(mail, _content(parts, "text/plain"), _content(parts, "text/html"), len(files))

    @classmethod
    def of_parts(
        cls, headers: str | Sequence[Sequence[str]], text: str, html: str, attachments: int
    ) -> Mail:
        """A mail that the vendor has taken apart; `headers` are lines, or names with values."""
        if isinstance(headers, str):
            return cls(message_from_string(headers), text, html, attachments)
        found = Message()
        for name, value in headers:
            found[str(name)] = str(value)
        return cls(found, text, html, attachments)

    def header(self, name: str) -> str:
        """Its words, in one line; empty where there is none."""
        raw = self._raw(name)
        with suppress(MessageError, LookupError, ValueError):
            raw = str(make_header(decode_header(raw)))
        return " ".join(raw.split())

    @property
    def author(self) -> str:
        """The address of From; empty where there is not exactly one."""
        lines = self.headers.get_all("From", [])
        raw = " ".join(str(lines[0])[:MAX_HEADER].split()) if len(lines) == 1 else ""
        try:
            found = [address for _, address in getaddresses([raw]) if "@" in address]
        except RecursionError:  # comments in comments
            return ""
        return found[0] if len(found) == 1 else ""

    def _raw(self, name: str) -> str:
        return str(self.headers.get(name, ""))[:MAX_HEADER]


def inbound(
    mail: Mail,
    *,
    sender: str,
    to: str,
    at: datetime | None = None,
    dedupe: str = "",
    checks: Checks | None = None,
    data: Mapping[str, Any] | None = None,
) -> Inbound:
    """`sender` and `to` are those of the envelope, `dedupe` the vendor's id of the mail where it
    has one, `checks` what the vendor has found of where it is from.
    """
    text, html = mail.text[:MAX_TEXT], mail.html[:MAX_TEXT]
    author = mail.author or sender
    return Inbound(
        channel=Channel.EMAIL,
        sender=author,
        to=to,
        subject=storable(mail.header("Subject")),
        text=storable(reply_text(text if text.strip() else html_text(html))),
        at=at or _date(mail),
        dedupe=dedupe or _dedupe(mail, to),
        in_reply_to=_in_reply_to(mail, to),
        is_automatic=is_automatic(mail, sender),
        is_forged=mail_origin.is_forged(author, sender, checks or Checks()),
        has_attachments=mail.attachments > 0,
        data=data or {},
    )


def is_automatic(mail: Mail, sender: str) -> bool:
    """An out-of-office note, a bounce, a list: whatever must never be answered by a machine."""
    submitted = mail.header("Auto-Submitted").partition(";")[0].strip().lower()
    return (
        submitted not in ("", "no")
        or mail.header("Precedence").lower() in BULK
        or sender.strip() in ("", "<>")
        or any(name in mail.headers for name in ("X-Autoreply", "X-Autorespond"))
        or any(MACHINES.match(address) for address in (sender, mail.author))
    )


def _content(parts: Sequence[Message], kind: str) -> str:
    """The first part of this kind that is no attachment."""
    for part in parts:
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            content = part.get_payload(decode=True)
            return (
                decoded(content, part.get_content_charset()) if isinstance(content, bytes) else ""
            )
    return ""


def decoded(content: bytes, charset: str | None) -> str:
    """As text, whatever its sender says it is."""
    try:
        return content.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):  # a charset that nobody knows
        return content.decode("latin-1")


def _in_reply_to(mail: Mail, to: str) -> Sequence[str]:
    """The Message-IDs that the mail names; last the one it answers.

    Where that was not ours to choose, our Reply-To said which it is: `reply+<delivery>@domain`.
    """
    found = _MESSAGE_ID.findall(f"{mail.header('References')} {mail.header('In-Reply-To')}")
    if token := _TOKEN.fullmatch(to.strip()):
        found.append(f"<{token[1].lower()}@{token[2]}>")
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _date(mail: Mail) -> datetime:
    """When its sender says that it was sent, but not in the future."""
    now = timezone.now()
    try:
        date = parsedate_to_datetime(mail.header("Date"))
    except (ValueError, TypeError, OverflowError):
        return now
    return min(date, now) if date.tzinfo else now


def _dedupe(mail: Mail, to: str) -> str:
    """The same for the same mail to the same address, however often it is posted."""
    told = mail.header("Message-ID") or f"{mail.headers.items()}{mail.text}{mail.html}"
    return hashlib.sha256(f"{told}\0{to.lower()}".encode(errors="replace")).hexdigest()
