"""SendGrid, SES and SMTP at the wire, configured as the service's three email providers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from django.test import override_settings

from notifications.providers import registry
from notifications.providers.common.email import EmailProvider
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.fakes.smtp import SmtpServer

KEY = "SG.fake"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:events"


@dataclass(frozen=True)
class EmailWorld:
    sendgrid: SendGridServer
    ses: SesServer
    smtp: SmtpServer

    def taken(self) -> dict[str, int]:
        """How many messages each provider took."""
        return {
            "sendgrid": len(self.sendgrid.messages),
            "ses": len(self.ses.messages),
            "smtp": len(self.smtp.accepted),
        }


@contextmanager
def email_world(**settings: Any) -> Iterator[EmailWorld]:
    """The three servers, running, and the settings that point at them, with patience."""
    with ExitStack() as stack:
        world = EmailWorld(
            stack.enter_context(SendGridServer(api_key=KEY)),
            stack.enter_context(SesServer()),
            stack.enter_context(SmtpServer()),
        )
        changed = {
            "PROVIDERS": _providers(world),
            "PROVIDER_CONNECT_TIMEOUT": 10.0,
            "PROVIDER_READ_TIMEOUT": 10.0,
            **settings,
        }
        stack.enter_context(override_settings(**changed))
        try:
            yield world
        finally:
            for provider in registry.made():
                if isinstance(provider, EmailProvider):
                    provider.close()


def _providers(world: EmailWorld) -> dict[str, dict[str, Any]]:
    return {
        "sendgrid": {
            "CLASS": "notifications.providers.sendgrid.SendGrid",
            "ENABLED": True,
            "OPTIONS": {
                "api_key": KEY,
                "api_url": world.sendgrid.api_url,
                "webhook_public_key": "",
            },
        },
        "ses": {
            "CLASS": "notifications.providers.ses.SES",
            "ENABLED": True,
            "OPTIONS": {
                "access_key_id": "AKIAFAKEFAKEFAKE0000",
                "secret_access_key": "secret",
                "region": "eu-central-1",
                "endpoint_url": world.ses.url,
                "configuration_set": "main",
                "topic_arns": [TOPIC],
            },
        },
        "smtp": {
            "CLASS": "notifications.providers.smtp.SMTP",
            "ENABLED": True,
            "OPTIONS": {"url": world.smtp.url},
        },
    }
