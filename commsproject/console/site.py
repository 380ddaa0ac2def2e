"""What the admin site shows around and in front of its pages."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from commsproject.common import alerts, health
from commsproject.common.admin.alerts import state
from commsproject.console import selectors
from notifications.admin import badges
from notifications.states import State

ALERTS = 5
"""Of the alerts that stand, the newest so many are shown."""


def environment(_request: HttpRequest) -> list[str] | None:
    """The badge beside the name, so that nobody takes one installation for another."""
    return ["Development", "warning"] if settings.DEVELOPMENT else None


def dashboard(_request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the index page."""
    recent = selectors.recent()
    trouble = selectors.trouble()
    lag = (timezone.now() - trouble.oldest_due).total_seconds() if trouble.oldest_due else 0
    return {
        **context,
        "title": "Dashboard",
        "alerts": [(alert, state(alert)) for alert in alerts.standing()[:ALERTS]],
        "parts": health.parts(),
        "lanes": selectors.queue_depth(),
        "lag_seconds": round(lag),
        "recent": recent,
        "states": [
            (state.label, count, badges.tone_of(state).value, 100 * count / recent.total)
            for state, count in recent.by_state.items()
        ],
        "failures": [(row, badges.state(State(row.state))) for row in recent.failures],
        "trouble": trouble,
        "cap": selectors.CAP,
    }
