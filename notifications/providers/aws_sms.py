"""AWS SMS: by SNS `Publish`, or by End User Messaging where an origination identity is configured.

Only End User Messaging tells what became of a message (events by way of an SNS topic). SNS writes
that to CloudWatch's logs alone.

Vendor's facts: docs.aws.amazon.com/sms-voice/latest/userguide (configuration-sets-event-types,
two-way SMS, keywords). What is sent and answered: `aws_sms_api`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from typing_extensions import override

from notifications.providers.account import Check, Verdict
from notifications.providers.aws_sms_api import Api, Publish, SendTextMessage
from notifications.providers.base import LoopProvider, Webhook
from notifications.providers.common import aws, http, sms, sns
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp
from notifications.providers.common.labels import attempt_id
from notifications.providers.common.sms import SmsProvider
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Inbound,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Sent,
)

EVENTS: Mapping[str, tuple[EventType, bool]] = {
    "PENDING": (EventType.SENT, False),
    "QUEUED": (EventType.SENT, False),
    "SENT": (EventType.SENT, False),
    "SUCCESSFUL": (EventType.SENT, False),  # the carrier has it; `DELIVERED` where this is the last
    "DELIVERED": (EventType.DELIVERED, False),
    "INVALID": (EventType.BOUNCED, True),
    "BLOCKED": (EventType.BOUNCED, True),
    "INVALID_MESSAGE": (EventType.BOUNCED, False),
    "UNREACHABLE": (EventType.BOUNCED, False),
    "CARRIER_UNREACHABLE": (EventType.BOUNCED, False),
    "CARRIER_BLOCKED": (EventType.BOUNCED, False),
    "SPAM": (EventType.BOUNCED, False),
    "UNKNOWN": (EventType.BOUNCED, False),
    "TTL_EXPIRED": (EventType.BOUNCED, False),
    "PROTECT_BLOCKED": (EventType.BOUNCED, False),
}
"""Their `messageStatus` to our event, and whether the number is dead."""

STOP_WORDS = frozenset(
    {
        *("ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD"),
        "UNSUBSCRIBE",
    }
)
"""The keywords that put a number on AWS's opt-out list, unless an account manages its own."""

SENDER_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]{1,11}")
LONG_NUMBER = re.compile(r"\+?[0-9]{7,}")

_OUR_DATA = {
    "totalMessageParts": "segments",
    "totalMessagePrice": "price_usd",
    "totalCarrierFee": "carrier_fee_usd",
    "carrierName": "carrier",
}

ANSWER_BYTES = 64 * 1024
"""As much of an answer is read. A usual one has less than 1 KB."""


NO_RECEIPTS = Check(
    "receipts",
    "nobody tells what becomes of a message",
    Verdict.WARNING,
    "Set AWS_SMS_ORIGINATION_IDENTITY and AWS_SMS_CONFIGURATION_SET.",
)


class AwsSms(SmsProvider, LoopProvider):
    """Options: the key pair, `region`, `endpoint_url` (`""` for Amazon's own). With
    `origination_identity` (a number, pool or sender id, or its ARN) it sends by End User Messaging,
    and `configuration_set` is the one that publishes events; without, by SNS, as `sender_id` where
    a country allows one. `topic_arns` are the SNS topics whose messages are believed.
    """

    confirms_opt_outs: ClassVar = True

    def __init__(
        self,
        name: str,
        *,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        endpoint_url: str,
        origination_identity: str,
        configuration_set: str,
        sender_id: str,
        topic_arns: Sequence[str],
    ) -> None:
        super().__init__(name)
        self._account = aws.Account(access_key_id, secret_access_key, endpoint_url)
        self._region = region
        self._api: Api = (
            SendTextMessage(origination_identity, configuration_set)
            if origination_identity
            else Publish(sender_id)
        )
        self._sender_id = sender_id
        self._topic_arns = topic_arns
        self._sns = sns.Verifier(topic_arns, lambda url: self.fetch_certificate(url))
        self._http = LoopHttp(self._account.endpoint(self._api.service, region), {})

    @property
    @override
    def receipts_need(self) -> str:
        return "SNS_TOPIC_ARNS" if self._api.tells and not self._topic_arns else ""

    @override
    def check(self) -> Iterator[Check]:
        yield from self._api.check(partial(self._account.call, region=self._region))
        if not self._api.tells:
            yield NO_RECEIPTS

    @override
    def problems(self) -> list[str]:
        found = aws.region_problems("AWS_SNS_REGION", self._region) + self._account.problems()
        if self._sender_id and not SENDER_ID.fullmatch(self._sender_id):
            found.append("AWS_SMS_SENDER_ID has 1 to 11 letters and digits, one letter at least.")
        return found

    def fetch_certificate(self, url: str) -> bytes:
        """Amazon's certificate at `url`; raises as `sns.fetch_certificate` does."""
        return sns.fetch_certificate(url)

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with caught(ErrorClass.PERMANENT_MESSAGE):
            sms.check(message)
            headers, body = self._api.request(message)
            headers = self._account.signed(
                self._api.service, self._region, self._http.url, headers, body
            )
        answer = await self._http.post(body, headers=headers, read=ANSWER_BYTES)
        with caught(ErrorClass.AMBIGUOUS):
            return self.receipt(answer)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()

    def receipt(self, answer: Answer) -> Sent:
        """What Amazon said. Raises `ProviderError` where it did not take the message."""
        if answer.status == 200:
            if ref := self._api.ref(answer):
                return Sent(ref, answer.status)
            raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
        code, refused = self._api.error(answer)
        error = http.status_error(answer.status, answer.headers)
        if refused is None:
            raise aws.unmapped(code, error)
        raise ProviderError(
            refused.error_class,
            code,
            error.detail,
            http_status=error.http_status,
            retry_after=error.retry_after or refused.retry_after,
            is_opt_out=refused.is_opt_out,
            for_country=refused.for_country,
        )

    @override
    def verify(self, webhook: Webhook) -> None:
        self._sns.verify(webhook)

    @override
    def parse(self, webhook: Webhook) -> list[Report]:
        """As documented there. A new subscription is confirmed on the way, which is a call to SNS:
        raises `ProviderError` where that fails.
        """
        try:
            envelope = sns.published(webhook, self._account)
            if envelope is None:
                return []
            return list(_reports(json.loads(envelope["Message"]), envelope["Timestamp"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an event of AWS SMS: {type(error).__name__}") from None


def _reports(told: Mapping[str, Any], published_at: str) -> Iterator[Report]:
    """What one message of a topic says: an event, a message to us, or nothing we know."""
    if "inboundMessageId" in told:
        yield _inbound(told, published_at)
    elif str(told.get("eventType", "")).startswith("TEXT_") and told["messageStatus"] in EVENTS:
        yield _event(told)


def _inbound(told: Mapping[str, Any], published_at: str) -> Inbound:
    keyword = str(told.get("messageKeyword") or "").upper()
    wish = Inbound.Wish.STOP if keyword in STOP_WORDS else ""
    return Inbound(
        channel=Channel.SMS,
        sender=told["originationNumber"],
        to=told["destinationNumber"],
        text=told["messageBody"],
        at=datetime.fromisoformat(published_at),
        dedupe=told["inboundMessageId"],
        wish=Inbound.Wish.HELP if keyword == "HELP" else wish,
        data={"answers": told["previousPublishedMessageId"]}
        if told.get("previousPublishedMessageId")
        else {},
    )


def _event(told: Mapping[str, Any]) -> ProviderEvent:
    status, ref = told["messageStatus"], told["messageId"]
    kind, permanent = EVENTS[status]
    if status == "SUCCESSFUL" and told.get("isFinal"):
        kind = EventType.DELIVERED
    return ProviderEvent(
        type=kind,
        at=datetime.fromtimestamp(told["eventTimestamp"] / 1000, UTC),
        dedupe=f"{ref}:{status}:{kind.value}",
        attempt_id=attempt_id((told.get("context") or {}).get("attempt_id")),
        provider_ref=ref,
        address=told["destinationPhoneNumber"],
        permanent=permanent,
        code=status if kind is EventType.BOUNCED else "",
        detail=LONG_NUMBER.sub("[number]", str(told.get("messageStatusDescription") or "")),
        data={ours: told[theirs] for theirs, ours in _OUR_DATA.items() if theirs in told},
    )
