"""A mail that came in, as a message of a person to us.

Facts: RFC 5322 3.6.4 (References, In-Reply-To), RFC 3834 (automatic answers).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.inbound import AnymailInboundMessage
from django.utils import timezone

from notifications.providers.reply_text import html_text, reply_text
from notifications.types import Channel, Inbound

BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
"""The values of Precedence that nobody writes by hand."""

MACHINES = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@", re.IGNORECASE)

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_TOKEN = re.compile(
    r"reply\+([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@(\S+)", re.ASCII | re.IGNORECASE
)


def inbound(
    mail: AnymailInboundMessage,
    *,
    sender: str,
    to: str,
    at: datetime | None = None,
    dedupe: str = "",
    attachments: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> Inbound:
    """`sender` and `to` are those of the envelope, `attachments` how many there are where `mail`
    does not have them, `dedupe` the vendor's id of the mail where it has one.
    """
    text = _content(mail, "text/plain")
    return Inbound(
        channel=Channel.EMAIL,
        sender=_author(mail) or sender,
        to=to,
        subject=" ".join(str(mail.subject or "").split()),
        text=reply_text(text if text.strip() else html_text(_content(mail, "text/html"))),
        at=at or _date(mail),
        dedupe=dedupe or _dedupe(mail, to),
        in_reply_to=_in_reply_to(mail, to),
        is_automatic=is_automatic(mail, sender),
        attachments=len(mail.attachments) if attachments is None else attachments,
        data=data or {},
    )


def is_automatic(mail: AnymailInboundMessage, sender: str) -> bool:
    """An out-of-office note, a bounce, a list: whatever must never be answered by a machine."""
    submitted = str(mail.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    return (
        submitted != "no"
        or str(mail.get("Precedence", "")).strip().lower() in BULK
        or sender.strip() in ("", "<>")
        or any(name in mail for name in ("X-Autoreply", "X-Autorespond"))
        or any(MACHINES.match(address) for address in (sender, _author(mail)))
    )


def _author(mail: AnymailInboundMessage) -> str:
    """The address of From; empty where there is not exactly one."""
    try:
        found = mail.get_address_header("From")
    except AnymailInvalidAddress:
        return ""
    return str(found[0].addr_spec) if len(found) == 1 else ""


def _content(mail: AnymailInboundMessage, kind: str) -> str:
    """The first part of this kind that is no attachment."""
    for part in mail.walk():
        if part.get_content_type() == kind and not part.is_attachment():
            try:
                return part.get_content_text() or ""
            except LookupError:  # a charset that nobody knows
                return part.get_content_text(charset="latin-1") or ""
    return ""


def _in_reply_to(mail: AnymailInboundMessage, to: str) -> Sequence[str]:
    """The Message-IDs that the mail names; last the one it answers.

    Where that was not ours to choose, our Reply-To said which it is: `reply+<delivery>@domain`.
    """
    named = f"{mail.get('References', '')} {mail.get('In-Reply-To', '')}"
    found = _MESSAGE_ID.findall(named)
    if token := _TOKEN.fullmatch(to.strip()):
        found.append(f"<{token[1].lower()}@{token[2]}>")
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _date(mail: AnymailInboundMessage) -> datetime:
    """When its sender says that it was sent, but not in the future."""
    now = timezone.now()
    try:
        date: datetime | None = mail.date
    except ValueError:
        return now
    return min(date, now) if date and date.tzinfo else now


def _dedupe(mail: AnymailInboundMessage, to: str) -> str:
    """The same for the same mail to the same address, however often it is posted."""
    named = str(mail.get("Message-ID", "")).strip().encode()
    told = named or mail.as_bytes()
    return hashlib.sha256(told + b"\0" + to.lower().encode()).hexdigest()
