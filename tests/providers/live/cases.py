"""What is sent to each vendor for real: to addresses that exist for tests, in the mode that delivers
nothing where there is one.

Facts: docs.aws.amazon.com/ses (mailbox simulator) and /sms-voice (simulator phone numbers),
twilio.com/docs/sendgrid (sandbox mode), postmarkapp.com/support (how to test bounces),
documentation.mailgun.com (test mode), resend.com/docs (send test emails), developers.brevo.com
(sandbox mode), twilio.com/docs/iam/test-credentials, firebase.google.com (`validate_only`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from typing_extensions import override

from commsproject.common.env import Env
from commsproject.common.ids import new_id
from notifications.providers.base import Provider
from notifications.providers.common.email import EmailProvider
from notifications.providers.fcm import FCM
from notifications.types import Channel, Inquiry, Outbound, Sent
from tests.providers.contract import close, send

env = Env()

PARTS: Mapping[Channel, Mapping[str, str]] = {
    Channel.EMAIL: {"subject": "A live test", "text": "Sent by tests/providers/live. Grüße ✓"},
    Channel.SMS: {"text": "A live test of the communication service."},
    Channel.PUSH: {"title": "A live test", "body": "Sent by tests/providers/live. Grüße ✓"},
}

Way = Callable[[Provider, Outbound], Sent]


@dataclass(frozen=True)
class Case:
    """One message. `to` names variables in braces; `{run}` is another word every time, so that what
    bounced in one run is no suppressed address in the next.
    """

    provider: str
    name: str
    channel: Channel
    to: str
    needs: Sequence[str]
    """Variables that must be set."""
    way: Way = send
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the provider in place of its usual ones, with variables as in `to`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    ends: str = ""
    """The status that the vendor's receipt makes; empty where there comes none."""
    refused: str = ""
    """The code with which the vendor refuses it."""
    has_look_up: bool = False

    @override
    def __str__(self) -> str:
        return f"{self.provider} {self.name}"

    @property
    def address(self) -> str:
        return self.to.format(run=secrets.token_hex(4), **_given(self.needs))


def missing(names: Sequence[str]) -> list[str]:
    return [name for name in names if not env.str(name, default="")]


def play(case: Case) -> tuple[Inquiry, Sent]:
    """Send it by the provider's own file, once. Raises `ProviderError`."""
    message = Outbound(
        attempt_id=new_id(),
        delivery_id=new_id(),
        notification_id=new_id(),
        channel=case.channel,
        to=case.address,
        parts=PARTS[case.channel],
        headers=case.headers,
    )
    provider = provider_of(case)
    inquiry = Inquiry(message.attempt_id, case.channel, message.to, message.parts, timezone.now())
    try:
        return inquiry, case.way(provider, message)
    finally:
        close(provider)


def provider_of(case: Case) -> Provider:
    """As the settings make it, with the options of the case."""
    entry = settings.PROVIDERS[case.provider]
    special = {name: value.format(**_given(case.needs)) for name, value in case.options.items()}
    made: Provider = import_string(entry["CLASS"])(case.provider, **{**entry["OPTIONS"], **special})
    return made


def _given(names: Sequence[str]) -> dict[str, str]:
    return {name: env.str(name) for name in names}


def _with_extra(extra: Mapping[str, Any]) -> Way:
    """As plain Django mail, with a field that the engine's messages do not have."""

    def deliver(provider: Provider, message: Outbound) -> Sent:
        assert isinstance(provider, EmailProvider)
        mail = provider.build(message)
        mail.esp_extra = dict(extra)
        return provider.deliver(mail)

    return deliver


class _Rehearsal(FCM):
    @override
    async def _post(self, body: bytes, token: str) -> Any:
        asked = {**json.loads(body), "validate_only": True}
        return await super()._post(json.dumps(asked).encode(), token)


def _validated(provider: Provider, message: Outbound) -> Sent:
    """FCM looks at it, and delivers nothing."""
    rehearsal = _Rehearsal(provider.name, **settings.PROVIDERS["fcm"]["OPTIONS"])
    try:
        return send(rehearsal, message)
    finally:
        close(rehearsal)


EMAIL, SMS, PUSH = Channel.EMAIL, Channel.SMS, Channel.PUSH
FROM = "DEFAULT_FROM_EMAIL"
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SES = (*AWS, "AWS_SES_REGION", FROM)
EUM = (*AWS, "AWS_SNS_REGION", "AWS_SMS_ORIGINATION_IDENTITY")
TWILIO = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
TWILIO_TEST = ("LIVE_TWILIO_TEST_SID", "LIVE_TWILIO_TEST_TOKEN")
TESTING = {
    "account_sid": "{LIVE_TWILIO_TEST_SID}",
    "auth_token": "{LIVE_TWILIO_TEST_TOKEN}",
    "from_number": "+15005550006",
    "messaging_service_sid": "",
}
"""Twilio's test credentials, which know one sender."""
APNS = ("APNS_KEY", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC", "LIVE_APNS_TOKEN")
VAPID = ("VAPID_PRIVATE_KEY", "VAPID_SUBJECT", "LIVE_WEBPUSH_SUBSCRIPTION")

SANDBOX = {"mail_settings": {"sandbox_mode": {"enable": True}}}

CASES = [
    Case(
        "sendgrid",
        "sandbox mode",
        EMAIL,
        "live@example.com",
        ("SENDGRID_API_KEY", FROM),
        way=_with_extra(SANDBOX),
    ),
    Case(
        "sendgrid",
        "to LIVE_EMAIL",
        EMAIL,
        "{LIVE_EMAIL}",
        ("SENDGRID_API_KEY", FROM, "LIVE_EMAIL"),
        ends="delivered",
    ),
    Case("ses", "success", EMAIL, "success+{run}@simulator.amazonses.com", SES, ends="delivered"),
    Case("ses", "bounce", EMAIL, "bounce+{run}@simulator.amazonses.com", SES, ends="bounced"),
    Case(
        "postmark",
        "soft bounce",
        EMAIL,
        "softbounce@bounce-testing.postmarkapp.com",
        ("POSTMARK_SERVER_TOKEN", FROM),
        ends="bounced",
    ),
    Case(
        "mailgun",
        "test mode",
        EMAIL,
        "live@example.com",
        ("MAILGUN_API_KEY", FROM),
        way=_with_extra({"o:testmode": "yes"}),
    ),
    Case(
        "resend",
        "delivered",
        EMAIL,
        "delivered+{run}@resend.dev",
        ("RESEND_API_KEY", FROM),
        ends="delivered",
    ),
    Case(
        "resend",
        "bounced",
        EMAIL,
        "bounced+{run}@resend.dev",
        ("RESEND_API_KEY", FROM),
        ends="bounced",
    ),
    Case(
        "brevo",
        "sandbox mode",
        EMAIL,
        "live@example.com",
        ("BREVO_API_KEY", FROM),
        headers={"X-Sib-Sandbox": "drop"},
    ),
    Case("smtp", "to LIVE_EMAIL", EMAIL, "{LIVE_EMAIL}", ("SMTP_URL", FROM, "LIVE_EMAIL")),
    Case("twilio", "magic number", SMS, "+14108675310", TWILIO_TEST, options=TESTING),
    Case("twilio", "no number", SMS, "+15005550001", TWILIO_TEST, options=TESTING, refused="21211"),
    Case("twilio", "opted out", SMS, "+15005550004", TWILIO_TEST, options=TESTING, refused="21610"),
    Case(
        "twilio",
        "to LIVE_PHONE",
        SMS,
        "{LIVE_PHONE}",
        (*TWILIO, "LIVE_PHONE"),
        ends="delivered",
        has_look_up=True,
    ),
    Case("aws_sms", "success", SMS, "+14254147755", EUM, ends="delivered"),
    Case("aws_sms", "failure", SMS, "+14254147167", EUM, ends="bounced"),
    Case(
        "fcm",
        "validate only",
        PUSH,
        "{LIVE_FCM_TOKEN}",
        ("FCM_SERVICE_ACCOUNT", "LIVE_FCM_TOKEN"),
        way=_validated,
    ),
    Case("apns", "to LIVE_APNS_TOKEN", PUSH, "{LIVE_APNS_TOKEN}", APNS),
    Case("webpush", "to a browser", PUSH, "{LIVE_WEBPUSH_SUBSCRIPTION}", VAPID),
]
