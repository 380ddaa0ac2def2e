"""The simulator: carries every channel that has no provider, and misbehaves on request.

It keeps what was sent (admin: simulator mailbox) and reports back as real providers do: signed
webhooks to the real endpoint. At `simulator.test` the local part is an instruction:

- `bounce@` is taken, then bounces; `complaint@` is delivered, then marked as spam
- `fail@` is refused for good; `throttle@` is answered 429 on the first attempt
- `hang@` is never answered, and no receipt comes

With a label (`bounce+1@`) they do the same. Everything else is delivered, unless a rule of the
script says otherwise: `simulator_script`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import OperationalError, close_old_connections, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.addresses import instruction
from notifications.models import SimulatedMessage, SimulatorRule
from notifications.providers import simulator_script
from notifications.providers.base import BadSignature, Provider, Webhook
from notifications.providers.common import http
from notifications.providers.simulator_script import Call, Post
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Outbound,
    ProviderError,
    ProviderEvent,
    Sent,
)

log = structlog.get_logger(__name__)

SIGNATURE = "x-simulator-signature"
TIMESTAMP = "x-simulator-timestamp"
FRESH_SECONDS = 300

RECEIPT_DELAY = timedelta(milliseconds=50)
AT_ONCE = 100
"""Messages whose receipts are posted together."""

POST_TIMEOUT = 5.0
RETRY_DELAY = timedelta(seconds=10)
"""Longer than a post may take: what is being posted is not yet due again."""

Answer = SimulatorRule.Answer
Manner = SimulatedMessage.Manner

_DELIVERED = [EventType.DELIVERED]
_RECEIPTS = {
    "bounce": [EventType.BOUNCED],
    "complaint": [EventType.DELIVERED, EventType.COMPLAINED],
}


class Simulator(Provider):
    """Real in every way but the last mile."""

    channels = frozenset(Channel) - {Channel.INAPP}  # which has nobody behind it to simulate

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._postman = ThreadPoolExecutor(1, "simulator")
        self._rung = 0
        self._lock = threading.Lock()
        self._never = threading.Event()
        self._room = threading.BoundedSemaphore(4)

    @override
    def send(self, message: Outbound) -> Sent:
        rule = self._meet(message.channel, message.to, message.attempt_id)
        asked = self._obey(message.to, message.number)
        due_at = timezone.now() + RECEIPT_DELAY
        post = simulator_script.post(rule, _RECEIPTS.get(asked, _DELIVERED), due_at)
        reply_to = {"Reply-To": message.reply_to} if message.reply_to else {}
        row = self._stored(
            attempt_id=message.attempt_id,
            channel=message.channel,
            address=message.to,
            parts=dict(message.parts),
            headers={**message.headers, **reply_to},
            metadata={
                "message_id": str(message.notification_id),
                "agent_id": message.agent_id,
                "template_id": message.template_id,
                **message.metadata,
            },
            **_columns(post),
        )
        transaction.on_commit(self._ring)
        _taken(rule)
        return Sent(ref=row.id.hex, http_status=202)

    def deliver(self, mail: EmailMessage) -> Sent:
        for address in mail.recipients():
            rule = self._meet(Channel.EMAIL, address, new_id())
            self._obey(address, 1)
            self._stored(
                channel=Channel.EMAIL,
                address=address,
                parts={"subject": mail.subject, "text": str(mail.body)},
                headers=dict(mail.extra_headers),
            )
            _taken(rule)
        return Sent(http_status=202)

    def _stored(self, **fields: Any) -> SimulatedMessage:
        """A vendor's servers are not ours: they must not take all of our connections."""
        with self._room:
            try:
                return SimulatedMessage.objects.create(provider=self.name, **fields)
            except OperationalError as error:
                raise ProviderError(
                    ErrorClass.TEMPORARY, "database", "The simulator could not store it."
                ) from error

    def _meet(self, channel: Channel, address: str, lot: UUID) -> SimulatorRule | None:
        """The rule for such a call, after its wait; raises the error of one that is not to be taken."""
        rule = simulator_script.meet(Call(self.name, channel, address, lot))
        if rule is None:
            return None
        limit = float(settings.PROVIDER_READ_TIMEOUT)
        self._never.wait(limit if rule.answer == Answer.HANG else min(rule.latency, limit))
        if error := _refusal(rule):
            raise error
        return rule

    def _obey(self, address: str, number: int) -> str:
        """The instruction in `address`, or the error it asks for."""
        asked = instruction(address)
        match asked:
            case "fail":
                raise ProviderError(
                    ErrorClass.PERMANENT_RECIPIENT, "550", "No such mailbox.", http_status=400
                )
            case "throttle" if number == 1:
                raise ProviderError(
                    ErrorClass.THROTTLED, "429", "Slower.", http_status=429, retry_after=0.2
                )
            case "hang":
                self._never.wait(settings.PROVIDER_READ_TIMEOUT)
                raise ProviderError(ErrorClass.AMBIGUOUS, "read_timeout", "No answer.")
        return asked

    # --- Receipts out ------------------------------------------------------------------------

    def _ring(self) -> None:
        """There will be receipts to post. One round serves all who ring until it is over: a batch of
        a hundred thousand must not leave as many rounds behind.
        """
        with self._lock:
            self._rung += 1
            is_first = self._rung == 1
        if is_first:
            self._postman.submit(self._post_soon)

    def _post_soon(self) -> None:
        left = self._rung
        while left:
            served = left
            self._never.wait(RECEIPT_DELAY.total_seconds())
            _post_all()
            with self._lock:
                self._rung -= served
                left = self._rung

    # --- Receipts in -------------------------------------------------------------------------

    @override
    def verify(self, webhook: Webhook) -> None:
        timestamp = webhook.headers.get(TIMESTAMP, "")
        given = webhook.headers.get(SIGNATURE, "")
        if not hmac.compare_digest(_sign(timestamp, webhook.body).encode(), given.encode()):
            raise BadSignature("the signature does not match")
        if abs(timezone.now().timestamp() - int(timestamp)) > FRESH_SECONDS:
            raise BadSignature("the signature is too old")

    @override
    def parse(self, webhook: Webhook) -> list[ProviderEvent]:
        try:
            return [_event(item) for item in json.loads(webhook.body)["events"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a receipt of the simulator: {type(error).__name__}") from None


class SecondSimulator(Simulator):
    """Another one beside it, for what needs two: failover, weights, breakers."""

    channels = frozenset({Channel.EMAIL, Channel.SMS})


def _refusal(rule: SimulatorRule) -> ProviderError | None:
    """The error of a call that is not taken."""
    match rule.answer:
        case Answer.THROTTLE:
            return ProviderError(
                ErrorClass.THROTTLED,
                "429",
                "Slower.",
                http_status=429,
                retry_after=rule.retry_after,
            )
        case Answer.ERROR:
            return http.status_error(rule.status, {})
        case Answer.HANG:
            return http.unanswered(ErrorClass.AMBIGUOUS, "read_timeout")
        case Answer.RESET:
            return http.unanswered(ErrorClass.AMBIGUOUS, "connection_lost")
        case Answer.REFUSE:
            return ProviderError(
                ErrorClass.PERMANENT_RECIPIENT, "550", "No such mailbox.", http_status=400
            )
    return None


def _taken(rule: SimulatorRule | None) -> None:
    """Raise what is answered, late or wrong, for a message that was taken."""
    if rule is None:
        return
    if rule.answer == Answer.ACCEPT_THEN_ERROR:
        raise http.status_error(500, {})
    if rule.latency >= settings.PROVIDER_READ_TIMEOUT:
        raise http.unanswered(ErrorClass.AMBIGUOUS, "read_timeout")


def _columns(post: Post) -> dict[str, Any]:
    return {"receipts": post.events, "receipts_due_at": post.due_at, "manner": post.manner}


def _event(item: dict[str, Any]) -> ProviderEvent:
    return ProviderEvent(
        type=EventType(item["type"]),
        at=datetime.fromisoformat(item["at"]),
        dedupe=item["id"],
        attempt_id=UUID(item["attempt_id"]),
        provider_ref=item["ref"],
        permanent=item["type"] == EventType.BOUNCED,
        code=item.get("code", ""),
    )


def _post_all() -> None:
    close_old_connections()
    try:
        while post_receipts(AT_ONCE) == AT_ONCE:
            pass
    except Exception as error:  # noqa: BLE001 - the scheduler's job posts what is left
        log.warning("receipts not posted", error=type(error).__name__)
    finally:
        close_old_connections()


def post_receipts(limit: int = AT_ONCE) -> int:
    """Post the receipts that are due; the number of messages they were for.

    Not answered with 2xx: posted again, with the same event ids, ten seconds later.
    """
    with transaction.atomic():
        due = SimulatedMessage.objects.filter(receipts_due_at__lte=timezone.now())
        rows = list(due.order_by("receipts_due_at").select_for_update(skip_locked=True)[:limit])
        for row in rows:  # a lease: if this process dies, they are due again
            row.receipts_due_at = timezone.now() + RETRY_DELAY
        SimulatedMessage.objects.bulk_update(rows, ["receipts_due_at"])
    for alike in _alike(rows):
        if not _posted(alike):
            break  # nor would the others be: they are due again
        posted = [row.id for row in alike]
        SimulatedMessage.objects.filter(id__in=posted).update(receipts_due_at=None, receipts=[])
    return len(rows)


def _alike(rows: list[SimulatedMessage]) -> list[list[SimulatedMessage]]:
    """Those that may be posted together."""
    found: dict[tuple[str, str], list[SimulatedMessage]] = {}
    for row in rows:
        found.setdefault((row.provider, row.manner), []).append(row)
    return list(found.values())


def _posted(rows: list[SimulatedMessage]) -> bool:
    """Whether that is over and done with."""
    events = [event for row in rows for event in _events(row)]
    provider, manner = rows[0].provider, rows[0].manner
    if manner == Manner.DUPLICATED and not _post(provider, events):
        return False
    return _post(provider, events, forged=manner == Manner.FORGED)


def _events(row: SimulatedMessage) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{row.id.hex}-{kind}",
            "type": kind,
            "at": timezone.now().isoformat(),
            "attempt_id": str(row.attempt_id),
            "ref": row.id.hex,
            "code": "550 5.1.1 user unknown" if kind == EventType.BOUNCED else "",
        }
        for kind in row.receipts
    ]


def _post(provider: str, events: list[dict[str, Any]], *, forged: bool = False) -> bool:
    """Whether it was taken; a forgery, whether it was refused."""
    body = json.dumps({"id": new_id().hex, "events": events}).encode()
    timestamp = str(int(timezone.now().timestamp()))
    signed = body + b" " if forged else body
    try:
        answer = httpx2.post(
            f"{settings.PUBLIC_URL}/webhooks/{provider}/",
            content=body,
            headers={
                "content-type": "application/json",
                TIMESTAMP: timestamp,
                SIGNATURE: _sign(timestamp, signed),
            },
            timeout=POST_TIMEOUT,
            trust_env=False,
        )
    except httpx2.HTTPError as error:
        log.warning("receipts not posted", error=type(error).__name__)
        return False
    if forged and answer.is_success:
        log.error("a forged receipt was taken", provider=provider)
    return forged or answer.is_success


def _sign(timestamp: str, body: bytes) -> str:
    key = salted_hmac("comms.simulator", "webhook", algorithm="sha256").digest()
    return hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
