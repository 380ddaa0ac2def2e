"""What all email providers share: the message, the connection and the translation of errors."""

from __future__ import annotations

import logging
import re
import smtplib
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.encoders import encode_base64
from email.mime.base import MIMEBase
from email.utils import parseaddr
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from anymail.exceptions import (
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailMessage
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError, EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.encoding import punycode
from typing_extensions import override

from notifications.providers.account import MailDns
from notifications.providers.base import Provider
from notifications.providers.common.defects import unexpected
from notifications.providers.common.labels import labels
from notifications.types import Attachment, Channel, ErrorClass, Outbound, ProviderError, Sent

logger = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
"""A connection unused for longer is replaced before its next use. Servers close idle connections
(SMTP often after a minute) and networks forget them, which the next message would suffer for."""

ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f@<>(),;:\"\\]+@[^\s\x00-\x1f\x7f@<>(),;:\"\\]+")
HEADER_NAME = re.compile(r"[!-9;-~]+")
CONTENT_TYPE = re.compile(r"(?!multipart/|message/)[\w.+-]+/[\w.+-]+(\s*;.*)?", re.ASCII)

OWN_HEADERS = frozenset(
    {
        *("from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id"),
        *("mime-version", "content-type", "content-transfer-encoding"),
    }
)
"""Headers that other fields of the message make. To set them as well would be ambiguous."""

UNSENDABLE: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (AnymailRecipientsRefused, ErrorClass.PERMANENT_RECIPIENT, "recipients_refused"),
    (AnymailInvalidAddress, ErrorClass.PERMANENT_MESSAGE, "invalid_address"),
    (AnymailUnsupportedFeature, ErrorClass.PERMANENT_MESSAGE, "unsupported_feature"),
    (AnymailSerializationError, ErrorClass.PERMANENT_MESSAGE, "not_serializable"),
    (BadHeaderError, ErrorClass.PERMANENT_MESSAGE, "line_break"),
    (ImproperlyConfigured, ErrorClass.AUTH_CONFIG, "configuration"),  # Anymail's is one of these
)
"""Errors that come before any call."""

UNSAFE = re.compile(r"[\r\n\0]")
_ADDRESSES = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")


class EmailProvider(Provider):
    """Sends mail through a Django email backend, one opened connection for each thread."""

    channels: ClassVar = frozenset({Channel.EMAIL})

    keeps_message_id: ClassVar[bool] = True
    """Whether the recipient gets our Message-ID, by which a reply finds what it answers. Where not,
    replies go to an address of REPLY_DOMAIN that says it, if there is such a domain.
    """

    dns: ClassVar[MailDns] = MailDns()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._slot = _Slot()

    def dkim_selectors(self, domain: str) -> Sequence[str]:
        """Where the DKIM keys for mail from `domain` are, or are usually.

        Raises `ProviderError` where the vendor has to be asked and does not tell.
        """
        return self.dns.selectors

    @abstractmethod
    def connect(self) -> BaseEmailBackend:
        """A new backend, not yet opened. It must not retry by itself.

        It may have `handed_over`: whether the last mail went to the vendor in full. Without it,
        every error that says nothing else counts as ambiguous.
        """

    @abstractmethod
    def classify(self, error: Exception) -> ProviderError | None:
        """What an error of the backend means, None if it is none of the vendor's.

        `ambiguous` where that depends on how far the call had come: the caller knows.
        """

    def receipt(self, mail: EmailMessage) -> Sent:
        """What the vendor said on taking `mail`."""
        return Sent()

    @override
    def send(self, message: Outbound) -> Sent:
        with self.before_sending():
            mail = self.build(message)
        return self.deliver(mail)

    def build(self, message: Outbound) -> AnymailMessage:
        """The mail of a message: parts `subject`, `text`, `html` (a preheader is in the html), or
        the vendor's own template with `values`.

        Raises `ProviderError` (`permanent_recipient`, `permanent_message`) where the message
        cannot be sent by anybody.
        """
        template = self.template(message)
        check(message, template)
        reply_to = self._reply_to(message)
        mail = AnymailMessage(
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[message.to],
            reply_to=[reply_to] if reply_to else None,
            headers={"Message-ID": message_id(message), **message.headers},
        )
        if template:
            mail.template_id, mail.merge_global_data = template, dict(message.values)
        else:
            self.write(mail, message.parts)
        for attachment in message.attachments:
            attach(mail, attachment)
        self.label(mail, message)
        return mail

    def write(self, mail: AnymailMessage, parts: Mapping[str, str]) -> None:
        """Fill in what the recipient reads."""
        text, html = parts.get("text", ""), parts.get("html", "")
        mail.subject, mail.body = parts.get("subject", ""), text or html
        if html and text:
            mail.attach_alternative(html, "text/html")
        elif html:
            mail.content_subtype = "html"

    def template(self, message: Outbound) -> str:
        """The id of the vendor's template that `message` is sent with; empty where we wrote it."""
        return message.hosted.get(self.name, "") if self.hosts_templates else ""

    def _reply_to(self, message: Outbound) -> str:
        if message.reply_to or self.keeps_message_id or not settings.REPLY_DOMAIN:
            return message.reply_to
        return f"reply+{message.delivery_id}@{settings.REPLY_DOMAIN}"

    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Give the vendor our ids, and the caller's tags and metadata as far as they are text.

        They are for webhooks and for the vendor's own statistics; the recipient must not see them.
        """
        mail.metadata = labels(message)
        if message.tags:
            mail.tags = list(dict.fromkeys(message.tags))

    def deliver(self, mail: EmailMessage) -> Sent:
        """Send any Django mail. Raises `ProviderError` and nothing else."""
        backend = self._opened()
        try:
            if not backend.send_messages([mail]):
                raise ProviderError(ErrorClass.PERMANENT_MESSAGE, "nothing_sent", "No recipients.")
            receipt = self.receipt(mail)
        except BaseException as error:  # a worker's time limit too leaves a broken connection
            handed_over = getattr(backend, "handed_over", True)
            self.close()
            if isinstance(error, Exception):
                # From None: the library's error carries the message, and would be logged with ours.
                raise self._translated(error, handed_over=handed_over) from None
            raise
        self._slot.used = time.monotonic()
        return receipt

    @contextmanager
    def before_sending(self, *, opening: bool = False) -> Iterator[None]:
        """Translates errors of what comes before a call: nothing was sent."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            raise self._translated(error, handed_over=False, opening=opening) from None

    def close(self) -> None:
        """Close the connection of this thread. The next message opens a new one."""
        backend, self._slot.backend = self._slot.backend, None
        if backend is None:
            return
        try:
            backend.close()
        except (OSError, smtplib.SMTPException) as error:
            logger.debug("%s: closing failed: %s", self.name, type(error).__name__)

    def _opened(self) -> BaseEmailBackend:
        if self._slot.backend and time.monotonic() - self._slot.used > IDLE_SECONDS:
            self.close()
        if self._slot.backend is None:
            try:
                self._slot.backend = self.connect()
                self._slot.backend.open()
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing was sent
                self.close()
                raise self._translated(error, handed_over=False, opening=True) from None
            self._slot.used = time.monotonic()
        return self._slot.backend

    def _translated(
        self, error: Exception, *, handed_over: bool, opening: bool = False
    ) -> ProviderError:
        if isinstance(error, ProviderError):
            return error
        for kind, error_class, code in UNSENDABLE:
            if isinstance(error, kind):
                return ProviderError(error_class, code, f"Not sent: {code.replace('_', ' ')}.")
        found = self.classify(error) or unexpected(error)
        if found.error_class is ErrorClass.AMBIGUOUS and not handed_over:
            return ProviderError(unsent(error, opening=opening), found.code, found.detail)
        return found


class _Slot(threading.local):
    """A thread's own connection, and when it was last used (monotonic seconds)."""

    backend: BaseEmailBackend | None = None
    used: float = 0.0


class Handover:
    """Mixed into an Anymail backend: knows whether a mail got as far as the vendor's API."""

    handed_over = False

    def _send(self, message: EmailMessage) -> bool:
        self.handed_over = False
        return bool(super()._send(message))  # type: ignore[misc]

    def post_to_esp(self, payload: Any, message: EmailMessage) -> Any:
        self.handed_over = True
        return super().post_to_esp(payload, message)  # type: ignore[misc]


def message_id(message: Outbound) -> str:
    """The same in every attempt and with every provider, so that mail clients drop a duplicate.

    Some vendors put an id of their own in its place: `keeps_message_id`.
    """
    return f"<{message.delivery_id}@{_domain(settings.DEFAULT_FROM_EMAIL)}>"


@lru_cache(maxsize=8)
def _domain(sender: str) -> str:
    return punycode(parseaddr(sender)[1].rpartition("@")[2])


def without_addresses(text: str) -> str:
    """What a vendor wrote, with the addresses in it blanked."""
    return _ADDRESSES.sub("[address]", text)


def unsent(error: Exception, *, opening: bool) -> ErrorClass:
    """The class of an error that says little, when it is known that nothing was sent."""
    if isinstance(error, (OSError, smtplib.SMTPException)):  # those of requests are OSErrors
        return ErrorClass.TEMPORARY
    return ErrorClass.AUTH_CONFIG if opening else ErrorClass.PERMANENT_MESSAGE


def attach(mail: EmailMessage, attachment: Attachment) -> None:
    if not attachment.content_type.startswith("text/"):
        mail.attach(attachment.filename, attachment.content, attachment.content_type)
        return
    # Django would decode a text and send it with the line ends of mail. These bytes are a file.
    part = MIMEBase(*attachment.content_type.split("/", 1))
    part.set_payload(attachment.content)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=attachment.filename)
    mail.attach(part)


def check(message: Outbound, template: str = "") -> None:
    """Refuse what no provider may be given, most of all line ends that would start a header.

    `template` is the vendor's own that the message is sent with.
    """
    check_recipient(message)
    if not template:
        _check_content(message)
    if any(UNSAFE.search(value) for value in (message.parts.get("subject", ""), message.reply_to)):
        _refuse("line_break", "A line break in the subject or in Reply-To.")
    if message.reply_to and not _has_address(message.reply_to):
        _refuse("invalid_reply_to", "Reply-To has no address.")
    for attachment in message.attachments:
        if not CONTENT_TYPE.fullmatch(attachment.content_type):
            _refuse("content_type", "An attachment's content type is none.")
        if UNSAFE.search(attachment.filename + attachment.content_type):
            _refuse("line_break", "A line break in an attachment's name.")


def _check_content(message: Outbound) -> None:
    if message.hosted:
        _refuse("template", "Another provider keeps its template.")
    if not (message.parts.get("text") or message.parts.get("html")):
        _refuse("no_content", "Neither text nor html.")


def check_recipient(message: Outbound) -> None:
    """What of `check` can differ between the messages of a batch: address and headers."""
    if not ADDRESS.fullmatch(message.to) or "=?" in message.to:  # Django would decode that
        raise ProviderError(ErrorClass.PERMANENT_RECIPIENT, "invalid_address")
    _check_headers(message.headers)


@lru_cache(maxsize=1024)
def _has_address(text: str) -> bool:
    return bool(ADDRESS.fullmatch(parseaddr(text)[1]))


def _check_headers(headers: Mapping[str, str]) -> None:
    _check_names(tuple(headers))
    for value in headers.values():
        if UNSAFE.search(value):
            _refuse("invalid_header", "A header has a line break.")


@lru_cache(maxsize=1024)
def _check_names(names: Sequence[str]) -> None:
    """Kept: the messages of a batch have the same."""
    for name in names:
        if name.lower() in OWN_HEADERS:
            _refuse("reserved_header", f"{name.title()} is made from other fields.")
        if not HEADER_NAME.fullmatch(name):
            _refuse("invalid_header", "A header has a wrong name.")


def _refuse(code: str, detail: str) -> NoReturn:
    raise ProviderError(ErrorClass.PERMANENT_MESSAGE, code, detail)
