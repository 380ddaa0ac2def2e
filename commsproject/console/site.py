"""What the admin site shows around and in front of its pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page."""
    return {**context, "title": "Home", **_overview(request)}


def overview(request: HttpRequest) -> HttpResponse:
    """The numbers of the index page alone, for its script."""
    if not request.user.get_all_permissions():
        raise PermissionDenied
    return render(request, "console/overview.html", _overview(request))


def _overview(request: HttpRequest) -> dict[str, Any]:
    """Health for everybody, and the cards of what this member of staff may look at."""
    found: dict[str, Any] = {"parts": health.parts(), "cap": selectors.CAP}
    for model, card in _CARDS.items():
        app, name = model.split(".")
        if any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change")):
            found.update(card())
    return found


def _alerts() -> dict[str, Any]:
    return {"alerts": [(alert, state(alert)) for alert in alerts.standing()[:ALERTS]]}


def _traffic() -> dict[str, Any]:
    return {"traffic": selectors.traffic()}


def _queue() -> dict[str, Any]:
    due = selectors.oldest_due()
    lag = (timezone.now() - due).total_seconds() if due else 0
    return {"lanes": selectors.queue_depth(), "lag_seconds": round(lag)}


def _dead_letters() -> dict[str, Any]:
    return {
        "dead_letter_count": selectors.dead_letter_count(),
        "dead_letters": selectors.dead_letters(),
    }


def _providers() -> dict[str, Any]:
    rows = selectors.providers()
    return {
        "blocked": selectors.blocked(),
        "providers": [(row, channels, gate_badge(row)) for row, channels in rows],
    }


def _messages() -> dict[str, Any]:
    recent = selectors.recent()
    return {
        "recent": recent,
        "states": [
            (state.label, count, badges.tone_of(state).value, 100 * count / recent.total)
            for state, count in recent.by_state.items()
        ],
        "failures": [(row, badges.state(State(row.state))) for row in recent.failures],
    }


_CARDS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "common.alert": _alerts,
    "tracking.rollup": _traffic,
    "notifications.work": _queue,
    "notifications.deadletter": _dead_letters,
    "notifications.providerstate": _providers,
    "notifications.notification": _messages,
}
"""By the rows that a card shows, and leads to."""
