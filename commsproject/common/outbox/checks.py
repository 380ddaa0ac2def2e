from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from commsproject.common.outbox import brokers


@register()
def broker_is_known(**_: Any) -> list[CheckMessage]:
    """Told at the start, not by a thread that ends."""
    try:
        brokers.of(settings.EVENTS_URL)
    except ImproperlyConfigured as error:
        return [Error(str(error), id="common.E010")]
    return []
