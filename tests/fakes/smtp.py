"""An SMTP server that keeps what it gets, on aiosmtpd."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from typing_extensions import override

from tests.fakes.ledger import Ledger
from tests.fakes.script import Script
from tests.fakes.server import FakeServer
from tests.fakes.smtp_behaviours import SmtpBehaviour, Stage, Take


@dataclass(frozen=True)
class ReceivedMail:
    """A mail whose last dot was read, whatever the client got to hear about it."""

    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes
    behaviour: str
    accepted: bool
    at: float = field(default_factory=time.monotonic)
    wall: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, _class=EmailMessage, policy=email.policy.default)


class SmtpServer(FakeServer):
    """`script.next` and `always` plan a mail, `script.when` a recipient.

    `commands` lists the MAIL and RCPT commands, those of refused mails too.
    """

    def __init__(self, username: str = "", password: str = "") -> None:
        super().__init__()
        self.username = username
        self.password = password
        self.start_tls: ssl.SSLContext | None = None
        """Set before `start`: STARTTLS is offered."""
        self.script: Script[SmtpBehaviour] = Script(Take())
        self.ledger: Ledger[ReceivedMail] = Ledger()
        self.commands: Ledger[tuple[str, str]] = Ledger()

    @property
    def url(self) -> str:
        login = f"{self.username}:{self.password}@" if self.username else ""
        return f"smtp://{login}{self.host}:{self.port}"

    @property
    def accepted(self) -> list[ReceivedMail]:
        return self.ledger.where(lambda mail: mail.accepted)

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        wanted = LoginPassword(self.username.encode(), self.password.encode())
        return AuthResult(success=data == wanted, handled=False)

    @override
    def _protocol(self) -> asyncio.BaseProtocol:
        return _Connection(self)


class _Connection(SMTP):
    """One client. Asks the plan of the current mail before each reply."""

    def __init__(self, fake: SmtpServer) -> None:
        super().__init__(
            _Hooks(),
            hostname="mx.fake",
            ident="fake",
            loop=asyncio.get_running_loop(),
            auth_require_tls=not fake.username,
            authenticator=fake.authenticate,
            tls_context=fake.start_tls,
        )
        self.fake = fake
        self.plan: SmtpBehaviour = Take()
        self._mine: asyncio.BaseTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._mine is None:  # after STARTTLS this comes again, for what is inside
            self._mine = transport
            self.fake._opened(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self._mine is not None:
            self.fake._closed(self._mine)

    @override
    async def smtp_DATA(self, arg: str) -> None:
        reply = await self.stage("DATA")
        if reply is None:
            await super().smtp_DATA(arg)
        else:
            await self.push(reply)

    async def stage(self, stage: Stage) -> str | None:
        """What the plan replies here; None if it is about another stage."""
        return await self.act(self.plan) if self.plan.stage == stage else None

    async def act(self, behaviour: SmtpBehaviour) -> str:
        if self._mine is None:
            raise RuntimeError("not connected")
        return await behaviour.act(self._mine)


class _Hooks:
    """What aiosmtpd calls at MAIL, RCPT and the end of DATA."""

    async def handle_MAIL(  # noqa: N802
        self, smtp: _Connection, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        smtp.fake.commands.add(("MAIL", address))
        if smtp.fake.username and not session.authenticated:
            return "530 5.7.0 Authentication required"
        smtp.plan = smtp.fake.script.planned()
        reply = await smtp.stage("MAIL")
        if reply is None or reply.startswith("2"):
            envelope.mail_from = address
        return reply or "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, smtp: _Connection, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        smtp.fake.commands.add(("RCPT", address))
        special = smtp.fake.script.for_recipient([address])
        if special is not None and special.stage == "RCPT":
            reply: str | None = await smtp.act(special)
        else:
            smtp.plan = special or smtp.plan
            reply = await smtp.stage("RCPT")
        if reply is None or reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, smtp: _Connection, _session: Session, envelope: Envelope
    ) -> str:
        smtp.fake.ledger.add(
            ReceivedMail(
                mail_from=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                raw=envelope.original_content or b"",
                behaviour=smtp.plan.name,
                accepted=smtp.plan.accepts or smtp.plan.stage != "END",
            )
        )
        return await smtp.stage("END") or "250 2.0.0 OK: queued"
