"""The vendors of the soak: fakes that misbehave by lot, and remember of a message only its ids."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from typing_extensions import override

from tests.fakes.behaviours import (
    Answer,
    Behaviour,
    Garbage,
    HalfBody,
    Hang,
    MalformedJson,
    Reset,
    Status,
    failed_after_accept,
    throttled,
)
from tests.fakes.esps import PostmarkServer
from tests.fakes.esps import SentMail as PostmarkMail
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.mix import Mix
from tests.fakes.script import Script
from tests.fakes.sendgrid import SendGridServer, SentMail
from tests.fakes.sendgrid_events import SendGridWebhook
from tests.fakes.twilio import SentSms, TwilioServer
from tests.fakes.wire import Request, Response

T = TypeVar("T")

PUBLIC_URL = "https://comms.example.org"
"""What links in messages begin with; Twilio calls nothing that has no TLS."""

MOODS = [
    (0.05, Answer(delay=0.3)),
    (0.01, Answer(delay=2)),
    (0.008, Status(500)),
    (0.003, failed_after_accept()),
    (0.004, throttled(1)),
    (0.002, throttled("soon")),
    (0.003, Reset()),
    (0.002, Reset(accepts=False)),
    (0.003, MalformedJson()),
    (0.001, HalfBody()),
    (0.001, Garbage()),
    (0.0005, Hang()),
]
"""Of all calls of a vendor, the share that ends so."""

MOODS_OF_THE_ENDPOINT = [
    (0.02, Answer(delay=1)),
    (0.005, Status(500)),
    (0.002, Reset()),
    (0.002, Garbage()),
]


class Taken(NamedTuple):
    """A message that a vendor took, whatever we got to hear; `at` is monotonic."""

    at: float
    vendor: str
    to: str
    message: str
    attempt: str


class Heard(Ledger[T]):
    """Keeps nothing: hands each entry on."""

    def __init__(self, tell: Callable[[T], None]) -> None:
        super().__init__()
        self._tell = tell

    @override
    def add(self, entry: T) -> None:
        self._tell(entry)


class _Moody(FakeHttpServer):
    @contextmanager
    def away(self) -> Iterator[None]:
        """Connections are refused."""
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    @contextmanager
    def only(self, behaviour: Behaviour) -> Iterator[None]:
        """Every request meets `behaviour`."""
        usual, self.script = self.script, Script(behaviour)
        try:
            yield
        finally:
            self.script = usual


class SendGrid(_Moody, SendGridServer):
    pass


class Twilio(_Moody, TwilioServer):
    pass


class Endpoint(_Moody):
    """Where our own webhooks go."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.told: set[tuple[str, str]] = set()
        """Type and the id of the delivery, of all that came."""

    @override
    def respond(self, request: Request) -> Response:
        event = json.loads(request.body)
        self.ids.add(request.headers["webhook-id"])
        self.told.add((event["type"], event["data"]["delivery_id"]))
        return Response(204)


@dataclass(frozen=True)
class Mail:
    """What SendGrid reports about."""

    mail: SentMail
    unsubscribe: str
    """The link of its header."""


class Vendors:
    """SendGrid, Postmark after it; Twilio; and the endpoint of our webhooks."""

    def __init__(self, seed: int) -> None:
        self.taken: list[Taken] = []
        self.mails: deque[Mail] = deque()
        """To be reported on, by whoever takes them out."""
        self.texts: deque[SentSms] = deque()
        self.webhook = SendGridWebhook()
        self.sendgrid, self.postmark = SendGrid("SG.soak"), PostmarkServer("soak")
        self.twilio, self.endpoint = Twilio(), Endpoint()
        self.sendgrid.script = Mix(seed, MOODS)
        self.twilio.script = Mix(seed + 1, MOODS)
        self.endpoint.script = Mix(seed + 2, MOODS_OF_THE_ENDPOINT)
        self.sendgrid.messages = Heard(self._mailed)
        self.postmark.messages = Heard(self._mailed_by_the_other)
        self._texts = self.twilio.messages
        self.twilio.messages = _Texts(self._texted)
        for fake in self._all:
            fake.ledger = Heard(lambda _: None)

    @property
    def _all(self) -> tuple[FakeHttpServer, ...]:
        return self.sendgrid, self.postmark, self.twilio, self.endpoint

    @property
    def ports(self) -> frozenset[int]:
        return frozenset(urlsplit(fake.url).port or 0 for fake in self._all)

    @contextmanager
    def running(self) -> Iterator[None]:
        for fake in self._all:
            fake.start()
        try:
            yield
        finally:
            for fake in self._all:
                fake.stop()

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "PUBLIC_URL": PUBLIC_URL,
            "DEFAULT_FROM_EMAIL": "soak@example.com",
            **self.sendgrid.env,
            **self.postmark.env,
            **self.twilio.env,
            "SENDGRID_WEBHOOK_PUBLIC_KEY": self.webhook.public_key,
            "SMS_PER_NUMBER": "none",
            "WEBHOOK_NETWORKS": "127.0.0.0/8",
        }

    def _mailed(self, mail: SentMail) -> None:
        self._note(mail.at, "sendgrid", mail.recipient, mail.custom_args)
        headers = {**mail.payload.get("headers", {}), **mail.personalization.get("headers", {})}
        link = headers.get("List-Unsubscribe", "").strip("<>")
        self.mails.append(Mail(replace(mail, payload={}, personalization={}), link))

    def _mailed_by_the_other(self, mail: PostmarkMail) -> None:
        self._note(mail.at, "postmark", mail.to[0], mail.metadata)

    def _texted(self, text: SentSms) -> None:
        self._note(text.taken_at, "twilio", text.to, text.ids)
        self.texts.append(text)

    def _note(self, at: float, vendor: str, to: str, ids: Mapping[str, str]) -> None:
        self.taken.append(Taken(at, vendor, to, ids["message_id"], ids["attempt_id"]))


class _Texts(Heard[SentSms]):
    """Kept too: Twilio is asked what became of a message."""

    @override
    def add(self, entry: SentSms) -> None:
        Ledger.add(self, entry)
        super().add(entry)
