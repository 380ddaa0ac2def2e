"""What a provider is. One provider is one file beside this one and one entry in settings."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import urlsplit

from django.core.mail import EmailMessage
from typing_extensions import override

from commsproject.common.loops import PerLoop
from notifications.providers.account import Check, Quota
from notifications.types import (
    Channel,
    Inquiry,
    Outbound,
    ProviderEvent,
    Report,
    Sent,
    Wanted,
)


class BadSignature(Exception):
    """A webhook that the provider did not sign, or signed too long ago. Answered with 400."""


class CannotVerify(Exception):
    """The means to check a signature cannot be had just now. Answered with 503: send it again."""


@dataclass(frozen=True, repr=False)
class Webhook:
    """A webhook call as it came in. Header names are lower case.

    `path` is what was called behind PUBLIC_URL, with its query: `/webhooks/twilio/status/?attempt=...`.
    """

    body: bytes
    headers: Mapping[str, str]
    path: str = ""

    @property
    def kind(self) -> str:
        """`inbound` of `/webhooks/mailgun/inbound/`; empty where nothing follows the provider."""
        _, _, names = urlsplit(self.path).path.partition("/webhooks/")
        return names.partition("/")[2].strip("/")

    @override
    def __repr__(self) -> str:
        return f"<Webhook {len(self.body)} bytes>"


class Provider(ABC):
    """Carries messages of some channels to one vendor, and reads what it reports back.

    Subclasses take their options as keyword arguments after `name`. One instance serves all
    threads of a process.
    """

    channels: ClassVar[frozenset[Channel]]

    concurrency: ClassVar[int] = 48
    """Calls at a time in one process, fewer than it has threads: a vendor that hangs leaves some for
    the others. Who waits for a place has not begun, and may still be stopped.
    """

    batch_limit: ClassVar[int] = 1
    """Messages that one call can carry."""

    looks_up: ClassVar[bool] = False
    """Whether `status` can tell what became of a call that was not answered."""

    knows_quota: ClassVar[bool] = False
    """Whether `quota` can tell what the vendor lets the account send."""

    confirms_opt_outs: ClassVar[bool] = False
    """Whether the vendor itself answers STOP, START and HELP."""

    webhook_answer: ClassVar[tuple[str, bytes]] = ("text/plain", b"")
    """Content type and body of our 200."""

    webhook_limits: ClassVar[Mapping[str, int]] = {}
    """Kind of webhook to the bytes it may have, where that is more than the usual megabyte."""

    hosts_templates: ClassVar[bool] = False
    """Whether it can send a template that it keeps itself: `Outbound.hosted`."""

    is_picky: ClassVar[bool] = False
    """Whether what a message wants makes a difference, beside a template: set where `lacks` is
    overridden.
    """

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.is_picky = cls.lacks is not Provider.lacks

    def __init__(self, name: str) -> None:
        self.name = name
        self._places = PerLoop(lambda: asyncio.Semaphore(self.concurrency))

    def place(self) -> asyncio.Semaphore:
        """To be held during a call."""
        return self._places.get()

    def loops(self) -> list[asyncio.AbstractEventLoop]:
        """Those it was used on, and has something open on."""
        return self._places.loops()

    async def aclose(self) -> None:
        """Close what is open on the running loop. Called before the loop ends, and when nobody uses
        the provider any more.
        """
        self._places.pop()

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    def send(self, message: Outbound) -> Sent:
        """One call to the vendor for one message, without retries of any kind.

        Raises `ProviderError` with the class of what went wrong: `ambiguous` exactly when the
        request may have been taken without our hearing of it.
        """

    def send_all(self, messages: Sequence[Outbound]) -> Sent:
        """One call for 1 to `batch_limit` messages with the same parts to different addresses.

        Taken or refused as a whole; otherwise as `send`. A single message has its final parts, and
        no values.
        """
        (message,) = messages
        return self.send(message)

    def lacks(self, wanted: Wanted) -> str:
        """What of `wanted` it cannot do, in a word or two; empty where it can carry the message.

        An override asks this one too.
        """
        if wanted.hosted and not (self.hosts_templates and self.name in wanted.hosted):
            return "template"
        return ""

    def status(self, inquiry: Inquiry) -> list[ProviderEvent]:
        """What the vendor knows of a call whose answer was lost: the events that settle it, none
        where it knows of no such message (yet). Only where `looks_up` is set.

        Raises `ProviderError` where it cannot be asked now.
        """
        raise NotImplementedError(f"{self.name} cannot look up messages")

    def check(self) -> Iterable[Check]:
        """Ask the vendor about our account, one thing after the other: whether it knows the
        credentials, whether it would take our messages. Sends none. For staff, not for the engine.

        Raises `ProviderError` where it refuses or cannot be asked.
        """
        return ()

    def quota(self) -> Quota:
        """What the vendor lets the account send. Only where `knows_quota` is set.

        Raises `ProviderError` where it cannot be asked now.
        """
        raise NotImplementedError(f"{self.name} tells no quota")

    def problems(self) -> list[str]:
        """What in the options makes it impossible to send; told at start. Never a secret's value."""
        return []

    @property
    def receipts_need(self) -> str:
        """The variable that is missing to verify webhooks; empty where none is."""
        return ""

    def verify(self, webhook: Webhook) -> None:
        """Raise `BadSignature` unless the vendor itself sent `webhook`, just now.

        Raises `CannotVerify` where that cannot be known at the moment.
        """
        raise BadSignature(f"{self.name} sends no webhooks")

    def replay_key(self, webhook: Webhook) -> str:
        """What in a verified webhook its vendor gives to one body only, at whichever door, where the
        signature is of no body: with another one it is refused. Empty: it has no such thing.
        """
        return ""

    def parse(self, webhook: Webhook) -> Sequence[Report]:
        """The events in a verified webhook, and the messages of people to us. Unknown kinds are left
        out, never an error.

        Reads body and path alone: no header is kept.
        Raises `ValueError` where the body is not what the vendor documents.
        """
        raise ValueError(f"{self.name} sends no webhooks")


class LoopProvider(Provider):
    """Called by the engine on its event loop: hundreds of calls in flight without a thread each.

    What it keeps open (sessions, connections) belongs to the running loop and is made on first use.
    """

    concurrency: ClassVar[int] = 1000

    @override
    def send(self, message: Outbound) -> Sent:
        """On a loop of its own."""

        async def once() -> Sent:
            try:
                return await self.carry([message])
            finally:
                await self.aclose()

        return asyncio.run(once())

    @abstractmethod
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        """One call for 1 to `batch_limit` messages with the same parts to different addresses.

        Taken or refused as a whole; raises `ProviderError` as `send` does. No retries. Several
        calls may be under way at once. A single message has its final parts, and no values.
        """


@runtime_checkable
class MailCarrier(Protocol):
    """A provider that also takes plain Django mail: what the failover email backend needs."""

    name: str

    def deliver(self, mail: EmailMessage) -> Sent:
        """As `Provider.send`, for a message somebody else has built. Raises `ProviderError`."""
        ...
