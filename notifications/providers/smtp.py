"""SMTP: mail to a relay of one's own. Nothing is ever reported back.

The engine's messages go over the event loop (`carry`), plain Django mail through Django's backend
(`deliver`). What a reply means is the same for both.

Facts: RFC 5321 (replies), RFC 3463 and its IANA registry (enhanced codes), RFC 4954 (login).
"""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from email.utils import parseaddr
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiosmtplib
from anymail.message import AnymailMessage
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address
from environ import Env
from typing_extensions import Buffer, override

from commsproject.common.loops import PerLoop
from notifications.providers.account import Check, MailDns, Verdict
from notifications.providers.base import LoopProvider
from notifications.providers.common import http, mime
from notifications.providers.common.defects import unexpected
from notifications.providers.common.email import EmailProvider, check, unsent
from notifications.providers.smtp_loop import CONNECTIONS, Busy, Failed, Mail, Pool, Relay
from notifications.types import ErrorClass, Outbound, ProviderError, Sent

logger = logging.getLogger(__name__)

PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 587, "smtp+ssl": 465}
"""The schemes as django-environ reads them, with their usual ports: `smtp` in the clear,
`smtp+tls` and also `smtps` with STARTTLS, `smtp+ssl` with TLS from the start."""

STAGES: tuple[tuple[type[smtplib.SMTPException], str], ...] = (
    (smtplib.SMTPConnectError, "connect"),
    (smtplib.SMTPHeloError, "connect"),
    (smtplib.SMTPAuthenticationError, "login"),
    (smtplib.SMTPSenderRefused, "sender"),
    (smtplib.SMTPDataError, "data"),
)

ANY = ("connect", "login", "sender", "recipient", "data")

REPLIES: tuple[tuple[tuple[str, ...], str, ErrorClass], ...] = (
    (ANY, r"53[0458]", ErrorClass.AUTH_CONFIG),
    (("connect", "login"), r"5", ErrorClass.AUTH_CONFIG),  # the relay will not have us
    (("login",), r"454", ErrorClass.TEMPORARY),  # RFC 4954: its own trouble
    (ANY, r"454", ErrorClass.THROTTLED),  # Amazon's SMTP: "Throttling failure"
    (ANY, r"421 4\.7\.", ErrorClass.THROTTLED),  # too many connections or mails, for policy
    (ANY, r"4", ErrorClass.TEMPORARY),
    (ANY, r"552", ErrorClass.PERMANENT_MESSAGE),  # too large
    (("sender",), r"5", ErrorClass.AUTH_CONFIG),  # our From address is refused
    (ANY, r"5\d\d 5\.1\.[78]\b", ErrorClass.AUTH_CONFIG),  # the same, said later
    (("recipient", "data"), r"5\d\d 5\.1\.", ErrorClass.PERMANENT_RECIPIENT),
    (ANY, r"5", ErrorClass.PERMANENT_MESSAGE),
)
"""Refusals: stages, how `550 5.1.1` starts, class. The first that fits counts.

Only an enhanced code says that the address is at fault, which suppresses it for good: a bare 550,
551 or 553 is also what relays answer that want a login or carry no mail for that domain.
"""

FAILURES: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (smtplib.SMTPServerDisconnected, ErrorClass.AMBIGUOUS, "connection_lost"),
    (smtplib.SMTPNotSupportedError, ErrorClass.AUTH_CONFIG, "not_supported"),
    (smtplib.SMTPResponseException, ErrorClass.AMBIGUOUS, "malformed_answer"),
    (smtplib.SMTPException, ErrorClass.AMBIGUOUS, "conversation_failed"),
    (ssl.SSLCertVerificationError, ErrorClass.AUTH_CONFIG, "certificate"),
    (ssl.SSLError, ErrorClass.AMBIGUOUS, "tls"),
    (socket.gaierror, ErrorClass.TEMPORARY, "unknown_host"),
    (ConnectionRefusedError, ErrorClass.TEMPORARY, "connect_failed"),
    (TimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),  # later ones are "disconnected"
    (OSError, ErrorClass.AMBIGUOUS, "connection_lost"),
)
"""Ends without a reply. Ambiguous counts as temporary until the whole mail is with the server."""

LOOP_FAILURES: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (ssl.SSLCertVerificationError, ErrorClass.AUTH_CONFIG, "certificate"),
    (ssl.SSLError, ErrorClass.AMBIGUOUS, "tls"),
    (socket.gaierror, ErrorClass.TEMPORARY, "unknown_host"),
    (ConnectionRefusedError, ErrorClass.TEMPORARY, "connect_failed"),
    (aiosmtplib.SMTPConnectTimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),
    (TimeoutError, ErrorClass.AMBIGUOUS, "read_timeout"),
    (OSError, ErrorClass.AMBIGUOUS, "connection_lost"),
    (aiosmtplib.SMTPException, ErrorClass.AUTH_CONFIG, "not_supported"),  # no STARTTLS, no login
)
"""The same for the event loop: what an error is or was made of, the special first."""

QUIT_SECONDS = 1.0
_ENHANCED = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\w)")
"""Anywhere in the reply: qmail ends it with `(#5.1.1)`. No part of an IP address."""


class SMTP(EmailProvider, LoopProvider):
    """Option `url`: `smtp+tls://user:password@host:587`, with what is special percent-encoded."""

    dns: ClassVar = MailDns(
        selectors=("google", "selector1", "selector2", "default", "dkim", "mail")
    )
    concurrency: ClassVar = CONNECTIONS

    def __init__(self, name: str, *, url: str) -> None:
        super().__init__(name)
        self._url = url
        self._pools = PerLoop(self._pool)

    @override
    def problems(self) -> list[str]:
        try:
            relay = self.relay()
            known = http.is_url(f"https://{relay.host}:{relay.port}")
        except (ImproperlyConfigured, LookupError, ValueError):
            known = False
        form = f"{', '.join(PORTS)}, then ://user:password@host:port"
        return [] if known else [f"SMTP_URL is none: it must start with one of {form}."]

    @override
    def check(self) -> Iterator[Check]:
        with self.before_sending(opening=True):
            relay, backend = self.relay(), self.connect()
            try:
                backend.open()
                if backend.connection is not None:
                    backend.connection.ehlo_or_helo_if_needed()
            finally:
                backend.close()
        login = "login accepted" if relay.username else "no login"
        if relay.tls or relay.start_tls:
            yield Check("relay", f"connected with TLS, {login}")
        else:
            advice = "Use smtp+tls:// or smtp+ssl://."
            yield Check("relay", f"connected in the clear, {login}", Verdict.WARNING, advice)

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with self.before_sending():
            mail = self._mail(message)
        with self.before_sending(opening=True):
            pool = self._pools.get()
        try:
            await pool.send(mail)
        except Failed as failed:
            raise _loop_error(failed) from None
        except Busy:
            raise ProviderError(ErrorClass.TEMPORARY, "busy", "No connection was free.") from None
        return Sent()

    @override
    async def aclose(self) -> None:
        await super().aclose()
        if pool := self._pools.pop():
            await pool.aclose()

    def relay(self) -> Relay:
        """Raises `ImproperlyConfigured` and others where the URL is none."""
        scheme = urlsplit(self._url).scheme
        if scheme not in PORTS:
            raise ImproperlyConfigured(f"SMTP_URL must start with one of {', '.join(PORTS)}")
        config = Env.email_url_config(self._url)
        return Relay(
            host=config["EMAIL_HOST"] or "",
            port=config["EMAIL_PORT"] or PORTS[scheme],
            username=config["EMAIL_HOST_USER"] or "",
            password=config["EMAIL_HOST_PASSWORD"] or "",
            start_tls=config.get("EMAIL_USE_TLS", False),
            tls=config.get("EMAIL_USE_SSL", False),
        )

    @override
    def connect(self) -> _Backend:
        relay = self.relay()
        return _Backend(
            host=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.start_tls,
            use_ssl=relay.tls,
            timeout=settings.PROVIDER_CONNECT_TIMEOUT,
        )

    def _pool(self) -> Pool:
        return Pool(self.relay())

    def _mail(self, message: Outbound) -> Mail:
        check(message)
        if message.attachments:
            content = self.build(message).message().as_bytes(linesep="\r\n")
        else:
            content = mime.compose(message)
        sender = _envelope(settings.DEFAULT_FROM_EMAIL)
        recipient = message.to if message.to.isascii() else sanitize_address(message.to, "utf-8")
        return Mail(sender, recipient, mime.wire(content))

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Nothing: a mail has no place for them that the recipient would not see."""

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = next(iter(error.recipients.values()))
            return _refused("recipient", code, text)
        for kind, stage in STAGES:
            if isinstance(error, kind) and isinstance(error, smtplib.SMTPResponseException):
                return _refused(stage, error.smtp_code, error.smtp_error)
        for failure, error_class, name in FAILURES:
            if isinstance(error, failure):
                # smtplib makes a timeout a disconnection too. What it came from is still there.
                late = isinstance(error.__context__, TimeoutError)
                name = "read_timeout" if late else name
                return ProviderError(error_class, name, f"The connection failed: {name}.")
        return None


@lru_cache(maxsize=8)
def _envelope(sender: str) -> str:
    return parseaddr(sanitize_address(sender, "utf-8"))[1]


def _loop_error(failed: Failed) -> ProviderError:
    found = _loop_class(failed)
    if found.error_class is not ErrorClass.AMBIGUOUS or failed.handed_over:
        return found
    if isinstance(failed.error, (OSError, aiosmtplib.SMTPException)):
        return ProviderError(ErrorClass.TEMPORARY, found.code, found.detail)
    opening = failed.stage == "connect"
    return ProviderError(unsent(failed.error, opening=opening), found.code, found.detail)


def _loop_class(failed: Failed) -> ProviderError:
    error = failed.error
    if isinstance(error, aiosmtplib.SMTPResponseException):
        login = isinstance(error, aiosmtplib.SMTPAuthenticationError)
        return _refused("login" if login else failed.stage, error.code, error.message)
    causes = list(http.causes(error))
    for kind, error_class, name in LOOP_FAILURES:
        if any(isinstance(cause, kind) for cause in causes):
            return ProviderError(error_class, name, f"The connection failed: {name}.")
    return unexpected(error)


def _refused(stage: str, code: int, text: bytes | str) -> ProviderError:
    found = _ENHANCED.search(text.decode(errors="replace") if isinstance(text, bytes) else text)
    reply = f"{code} {found[0]}" if found else str(code)
    for stages, start, error_class in REPLIES:
        if stage in stages and re.match(start, reply):
            return ProviderError(error_class, reply, f"Refused at the {stage} stage.")
    return ProviderError(ErrorClass.AMBIGUOUS, "malformed_answer", "A reply that is none.")


class _Phases:
    """Mixed into smtplib's classes: how far has the mail come?"""

    handed_over = False
    """All of the mail has left, the last dot too. Without that a server must not take it."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # The only place between connecting and the greeting, some of which come after seconds.
        sock: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        sock.settimeout(settings.PROVIDER_READ_TIMEOUT)
        return sock

    def mail(self, *args: Any) -> Any:
        self.handed_over = False
        return super().mail(*args)  # type: ignore[misc]

    def send(self, s: Buffer | str) -> None:
        super().send(s)  # type: ignore[misc]
        if not isinstance(s, str):  # commands are text, and only the mail is bytes
            self.handed_over = True

    def sendmail(self, sender: str, recipients: Sequence[str], *args: Any) -> Any:
        refused = super().sendmail(sender, recipients, *args)  # type: ignore[misc]
        if refused:  # Django drops this; the engine sends to one recipient, where it cannot be
            logger.warning("smtp: %d of %d recipients refused", len(refused), len(recipients))
        return refused


class _Plain(_Phases, smtplib.SMTP):
    pass


class _Encrypted(_Phases, smtplib.SMTP_SSL):
    pass


class _Backend(EmailBackend):
    @property
    @override
    def connection_class(self) -> type[smtplib.SMTP]:
        return _Encrypted if self.use_ssl else _Plain

    @property
    def handed_over(self) -> bool:
        return bool(getattr(self.connection, "handed_over", False))

    def _close_connection(self, connection: smtplib.SMTP) -> None:
        if connection.sock is not None:
            connection.sock.settimeout(QUIT_SECONDS)  # a hanging server gets no second full wait
        super()._close_connection(connection)  # type: ignore[misc]
