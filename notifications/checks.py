"""System checks: each provider says itself what is wrong with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from notifications.providers import registry


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
def a_cap_has_prices(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """notifications.W002 where no message costs anything and what they cost is capped."""
    if settings.SMS_DAILY_CAP is None or settings.SMS_PRICES:
        return []
    return [
        checks.Warning(
            "SMS_DAILY_CAP stops nothing: SMS_PRICES names no price.",
            hint='Set SMS_PRICES, such as {"*": "0.05"}.',
            id="notifications.W002",
        )
    ]


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
