"""System checks: each provider says itself what is wrong with its options."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from email.utils import getaddresses
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError

from notifications import addresses
from notifications.models import Category
from notifications.providers import registry
from notifications.providers.common import http
from notifications.types import Channel


@register()
def providers_can_send(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.E001 for each provider that is on and could send nothing as it is set up."""
    return [
        checks.Error(problem, id="notifications.E001")
        for provider in registry.enabled().values()
        for problem in provider.problems()
    ]


@register()
def credentials_are_whole(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W003 for each provider that some of what turns it on is set of, and some not."""
    return [
        checks.Warning(
            f"{', '.join(entry['MISSING'])} not set: {name} is off, although the rest of its "
            "credentials is there.",
            hint="Set all of them, or none.",
            id="notifications.W003",
        )
        for name, entry in settings.PROVIDERS.items()
        if entry.get("MISSING")
    ]


OLDER = {
    "SENDGRID_WEBHOOK_URL": "PUBLIC_URL",
    "TWILIO_WEBHOOK_URL": "PUBLIC_URL",
    "SMTP_HOST": "SMTP_URL",
    "SMTP_PORT": "SMTP_URL",
    "SMTP_USER": "SMTP_URL",
    "SMTP_PASSWORD": "SMTP_URL",
    "FCM_SERVER_KEY": "FCM_SERVICE_ACCOUNT",
    "APNS_CERT_PATH": "APNS_KEY",
}
"""Variables of older set-ups, and where what they said belongs now."""


@register()
def older_names_are_not_read(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W005 for each variable that somebody may think is read."""
    return [
        checks.Warning(
            f"{older} is set, and nothing reads it.",
            hint=f"{today} says that now: docs/deployment/README.md.",
            id="notifications.W005",
        )
        for older, today in OLDER.items()
        if older in os.environ
    ]


@register()
def addresses_can_be_reached(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.E002 for each variable that holds no such thing as it is for."""
    wrong = {
        "PUBLIC_URL is no URL: write it as https://comms.example.com.": not http.is_url(
            settings.PUBLIC_URL
        ),
        "DEFAULT_FROM_EMAIL is no sender: write it as comms@example.com, or as "
        "Example <comms@example.com>.": not _is_sender(settings.DEFAULT_FROM_EMAIL),
        "REPLY_DOMAIN is no domain: write it as reply.example.com.": bool(settings.REPLY_DOMAIN)
        and not _NAME.fullmatch(settings.REPLY_DOMAIN),
        "WEBPUSH_HOSTS has what is no push service: write each as push.example.com, *.example.com, "
        "or https://push.example.com:8443.": not all(map(_is_service, settings.WEBPUSH_HOSTS)),
    }
    return [
        checks.Error(problem, id="notifications.E002") for problem, found in wrong.items() if found
    ]


_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)


def _is_sender(text: str) -> bool:
    """Whether it is one address, with or without a name."""
    found = getaddresses([text])
    try:
        ((_, address),) = found
        addresses.normalise(Channel.EMAIL, address)
    except ValueError:  # a BadAddress is one
        return False
    return not any(character in text for character in "\r\n")


def _is_service(host: str) -> bool:
    if "://" in host:
        return http.is_url(host) and not urlsplit(host).path
    return _NAME.fullmatch(host.removeprefix("*.")) is not None


@register()
def a_cap_has_prices(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """notifications.W002 where no message costs anything and what they cost is capped."""
    if settings.SMS_DAILY_CAP is None or settings.SMS_PRICES or settings.PROVIDER_PRICES:
        return []
    return [
        checks.Warning(
            "SMS_DAILY_CAP stops nothing: SMS_PRICES names no price.",
            hint='Set SMS_PRICES, such as {"*": "0.05"}.',
            id="notifications.W002",
        )
    ]


@register(Tags.security, deploy=True)
def text_messages_have_bounds(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W006 for each bound that is missing of text messages that a vendor carries: who is
    paid for those to numbers of their own finds what has none.
    """
    found = [provider.name for provider in registry.for_channel(Channel.SMS)]
    carriers = [name for name in found if name not in registry.SIMULATORS]
    if not carriers:
        return []
    missing = {
        "SMS_COUNTRIES is not set: text messages go to every country by": (
            "Name the countries that your people are in, such as DE,SE: docs/how-to/sms.md.",
            not settings.SMS_COUNTRIES,
        ),
        "SMS_DAILY_CAP is not set: nothing ends what may be spent in a day by": (
            "Set it, such as 250.00, and what a message costs in SMS_PRICES: docs/how-to/sms.md.",
            settings.SMS_DAILY_CAP is None,
        ),
    }
    return [
        checks.Warning(f"{problem} {', '.join(carriers)}.", hint=hint, id="notifications.W006")
        for problem, (hint, is_missing) in missing.items()
        if is_missing
    ]


@register(Tags.database)
def marketing_says_where_we_are(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W004 where there are marketing categories and no address to put below them."""
    if settings.POSTAL_ADDRESS or not databases:
        return []
    try:
        found = Category.objects.filter(kind=Category.Kind.MARKETING).exists()
    except DatabaseError:  # no table yet: `migrate` asks before it makes it
        return []
    message = "POSTAL_ADDRESS is not set, and there are marketing categories."
    hint = "CAN-SPAM asks for a postal address in every marketing email."
    return [checks.Warning(message, hint=hint, id="notifications.W004")] if found else []


@register(Tags.security, deploy=True)
def receipts_can_be_verified(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W001 for each provider that is on and has no means to check a signature."""
    return [
        checks.Warning(
            f"{provider.receipts_need} is not set: every receipt of {provider.name} is refused.",
            hint="Without receipts no message becomes `delivered` and no bounce is suppressed.",
            id="notifications.W001",
        )
        for provider in registry.enabled().values()
        if provider.receipts_need
    ]
