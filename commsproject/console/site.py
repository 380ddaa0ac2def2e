"""What the admin site shows around and in front of its pages."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from commsproject.common import alerts, health
from commsproject.common.admin.alerts import state
from commsproject.console import selectors
from notifications.admin import badges
from notifications.admin.providers import gate_badge
from notifications.states import State

ALERTS = 5
"""Of the alerts that stand, the newest so many are shown."""


def environment(_request: HttpRequest) -> list[str] | None:
    """The badge beside the name, so that nobody takes one installation for another."""
    return ["Development", "warning"] if settings.DEVELOPMENT else None


def dashboard(_request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page."""
    return {**context, "title": "Home", **_overview()}


def overview(request: HttpRequest) -> HttpResponse:
    """The numbers of the index page alone, for its script."""
    if not request.user.get_all_permissions():
        raise PermissionDenied
    return render(request, "console/overview.html", _overview())


def _overview() -> dict[str, Any]:
    recent = selectors.recent()
    trouble = selectors.trouble()
    lag = (timezone.now() - trouble.oldest_due).total_seconds() if trouble.oldest_due else 0
    return {
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
        "traffic": selectors.traffic(),
        "dead_letters": selectors.dead_letters(),
        "providers": [(row, channels, gate_badge(row)) for row, channels in selectors.providers()],
        "cap": selectors.CAP,
    }
