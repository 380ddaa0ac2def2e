"""System checks: no provider in production whose receipts would all be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

RECEIPTS_NEED: Mapping[str, tuple[str, str]] = {
    "sendgrid": ("webhook_public_key", "SENDGRID_WEBHOOK_PUBLIC_KEY"),
    "ses": ("topic_arns", "SNS_TOPIC_ARNS"),
}
"""Provider to the option without which it believes no webhook, and the variable that sets it."""


@register(Tags.security, deploy=True)
def receipts_can_be_verified(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """notifications.W001 for each provider that is on and has no means to check a signature."""
    return [
        checks.Warning(
            f"{variable} is not set: every receipt of {name} is refused.",
            hint="Without receipts no message becomes `delivered` and no bounce is suppressed.",
            id="notifications.W001",
        )
        for name, (option, variable) in RECEIPTS_NEED.items()
        if (provider := settings.PROVIDERS.get(name))
        and provider["ENABLED"]
        and not provider["OPTIONS"][option]
    ]
