"""Fake vendors of email and SMS, messages at a rate, and how long each took to reach a vendor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel, Lane
from tests.fakes.aws_sms import AwsSmsServer
from tests.fakes.esps import PostmarkServer
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.fakes.twilio import TwilioServer
from tests.faults.nursery import Infant, Nursery
from tests.faults.world import KEY, PATIENCE, has_started
from tests.processes import eventually

TICK = 0.02
"""Seconds between the messages of a flow that are accepted together."""


@dataclass(frozen=True)
class Taken:
    """A message that a vendor took, whatever we got to hear; `at` is monotonic."""

    vendor: str
    to: str
    at: float
    custom_args: Mapping[str, str]


_SWITCHES = {
    "sendgrid": "SENDGRID_API_KEY",
    "ses": "AWS_SES_REGION",
    "postmark": "POSTMARK_SERVER_TOKEN",
    "twilio": "TWILIO_AUTH_TOKEN",
    "aws_sms": "AWS_SNS_REGION",
}
"""What each is not used without."""


@dataclass(frozen=True)
class Vendors:
    """In the order of failover: SendGrid, SES, Postmark; Twilio, AWS."""

    sendgrid: SendGridServer
    ses: SesServer
    postmark: PostmarkServer
    twilio: TwilioServer
    aws_sms: AwsSmsServer

    def env(self, times: float, *names: str, **changes: str) -> dict[str, str]:
        """The environment of a process that sends by those of them, or by all; its waits are
        `times` as long as usual.
        """
        off = {switch: "" for name, switch in _SWITCHES.items() if names and name not in names}
        return {
            "DJANGO_SETTINGS_MODULE": "tests.faults.vendor_settings",
            "TIMES": str(times),
            "POLL_SECONDS": "0.3",
            "PUBLIC_URL": "https://comms.example.org",
            **self.sendgrid.env,
            **self.postmark.env,
            **self.twilio.env,
            "AWS_ACCESS_KEY_ID": self.aws_sms.access_key,
            "AWS_SECRET_ACCESS_KEY": self.aws_sms.secret_key,
            "AWS_SES_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": self.ses.url,
            "SES_LIMIT": "none",
            "AWS_SNS_REGION": "eu-central-1",
            "AWS_SMS_ENDPOINT_URL": self.aws_sms.url,
            "AWS_SMS_ORIGINATION_IDENTITY": "+14255550182",
            "AWS_SMS_LIMIT": "none",
            **off,
            **changes,
        }

    def taken(self, *names: str) -> list[Taken]:
        """What those vendors took, or all of them."""
        found = [
            *(
                Taken("sendgrid", one.recipient, one.at, one.custom_args)
                for one in self.sendgrid.messages
            ),
            *(Taken("ses", one.recipient, one.at, one.tags) for one in self.ses.messages),
            *(Taken("postmark", one.to[0], one.at, one.metadata) for one in self.postmark.messages),
            *(Taken("twilio", one.to, one.taken_at, one.ids) for one in self.twilio.messages),
            *(Taken("aws_sms", one.to, one.at, one.context) for one in self.aws_sms.messages),
        ]
        return [one for one in found if not names or one.vendor in names]

    def count(self) -> int:
        """How many messages they took, copies too."""
        fakes = (self.sendgrid, self.ses, self.postmark, self.twilio, self.aws_sms)
        return sum(len(fake.messages) for fake in fakes)


@contextmanager
def vendors_running() -> Iterator[Vendors]:
    with ExitStack() as stack:
        yield Vendors(
            stack.enter_context(SendGridServer(api_key=KEY)),
            stack.enter_context(SesServer()),
            stack.enter_context(PostmarkServer()),
            stack.enter_context(TwilioServer()),
            stack.enter_context(AwsSmsServer()),
        )


@contextmanager
def at_work(logs: Path, env: Mapping[str, str], *, count: int = 2) -> Iterator[Nursery]:
    """So many workers that have started; more can be born."""
    with Nursery(logs, **env) as nursery:
        workers = [nursery.start("worker") for _ in range(count)]
        eventually(lambda: all(has_started(worker.log) for worker in workers), PATIENCE)
        yield nursery


def started(nursery: Nursery, *options: str) -> Infant:
    worker = nursery.start("worker", *options)
    eventually(lambda: has_started(worker.log), PATIENCE)
    return worker


class Flow:
    """Messages of one kind to addresses of their own, `rate` of them a second while it runs."""

    def __init__(
        self,
        rate: float,
        *,
        channel: Channel = Channel.EMAIL,
        lane: Lane = Lane.NORMAL,
        prefix: str = "user-",
    ) -> None:
        """`prefix`: what the addresses begin with; of a number all but its last six digits."""
        self.rate, self.lane, self.channel, self._prefix = rate, lane, channel, prefix
        self.accepted: dict[str, float] = {}
        """Address to the monotonic moment after its commit."""

    def accept(self, count: int) -> None:
        if count <= 0:
            return
        first = len(self.accepted)
        addresses = [self._address(number) for number in range(first, first + count)]
        client, _ = ApiClient.objects.get_or_create(name="billing")
        content = {"subject": "Hello", "text": "It works."}
        if self.channel is Channel.SMS:
            content = {"text": "It works."}
        asked = [
            Submission(
                to=Target(addresses={self.channel: address}), content=content, priority=self.lane
            )
            for address in addresses
        ]
        with transaction.atomic():
            submit.accept(client, asked)
        self.accepted.update(dict.fromkeys(addresses, time.monotonic()))

    def _address(self, number: int) -> str:
        if self.channel is Channel.SMS:
            return f"{self._prefix}{number:06}"
        return f"{self._prefix}{number}@example.org"

    def delays(self, vendors: Vendors, *names: str, since: int = 0) -> list[float]:
        """Seconds from acceptance until the first of those vendors took it, of the messages from
        the one of that number on; infinite where none did.
        """
        first: dict[str, float] = {}
        for one in sorted(vendors.taken(*names), key=lambda one: one.at, reverse=True):
            first[one.to] = one.at
        return [
            first.get(address, float("inf")) - at
            for address, at in list(self.accepted.items())[since:]
        ]


def run(seconds: float, *flows: Flow) -> None:
    """Accept the messages of those flows for so long. A machine that is late catches up."""
    start = time.monotonic()
    before = [len(flow.accepted) for flow in flows]
    while (passed := time.monotonic() - start) < seconds:
        for flow, had in zip(flows, before, strict=True):
            flow.accept(int(passed * flow.rate) - (len(flow.accepted) - had))
        time.sleep(TICK)


def all_left(vendors: Vendors, *flows: Flow) -> bool:
    """Whether some vendor took each of their messages."""
    accepted = [address for flow in flows for address in flow.accepted]
    if vendors.count() < len(accepted):  # looking at each costs the vendors time
        return False
    there = {one.to for one in vendors.taken()}
    return there.issuperset(accepted)


NOT_MADE = ("halted", "lease_lost")
"""Codes of attempts that were written down and then not made."""


def calls(provider: str) -> list[Attempt]:
    """The calls of a provider that were really made, in their order."""
    rows = Attempt.objects.filter(provider=provider).exclude(code__in=NOT_MADE)
    return list(rows.order_by("started_at"))


def ends() -> set[str]:
    """The states that deliveries are in."""
    return set(Delivery.objects.values_list("state", flat=True).distinct())
