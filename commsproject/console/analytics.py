"""The dashboard of what happened to messages. All numbers come from the hourly rollups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework.exceptions import ValidationError

from commsproject.common.api import problems
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient
from notifications.models import Category, ProviderState
from notifications.types import Channel
from templates_app.models import Template
from tracking.api.analytics import SeriesInput, question, read
from tracking.live import MAY_SEE
from tracking.services import analytics
from tracking.services.analytics import Dimension, Figures, Granularity, Question

_MOST = 200
"""Choices of one filter."""

_LEADERS = 8
_A_DAY = timedelta(days=1, hours=1)

_may_see = permission_required(MAY_SEE, raise_exception=True)


@dataclass(frozen=True)
class Filter:
    """A list to choose from: pairs of key and name."""

    name: str
    label: str
    choices: Iterable[tuple[str, str]]


@_may_see
def page(request: HttpRequest) -> HttpResponse:
    """The page; its script fetches `figures`."""
    context = {
        **admin.site.each_context(request),
        "title": "Analytics",
        "filters": [
            Filter("channel", "Channel", Channel.choices),
            Filter("provider", "Provider", _named(ProviderState, "name", "name")),
            Filter("category", "Category", _named(Category, "key", "name")),
            Filter("template", "Template", _named(Template, "key", "name")),
            Filter("agent", "Agent", _named(ApiClient, "name", "name")),
        ],
    }
    return render(request, "console/analytics.html", context)


def _named(model: Any, key: str, name: str) -> list[tuple[str, str]]:
    return list(model.objects.order_by(name).values_list(key, name)[:_MOST])


@_may_see
def figures(request: HttpRequest) -> HttpResponse:
    """All that the page shows, in one answer; filters as in the API."""
    try:
        asked = read(SeriesInput, request.GET.dict())
        return JsonResponse(_all_of(question(asked), asked["granularity"]))
    except (CommsError, ValidationError) as error:
        return problems.answer(problems.translate(error) or problems.InternalError())


def _all_of(wanted: Question, granularity: Any) -> dict[str, Any]:
    span = wanted.until - wanted.since
    before = replace(wanted, since=wanted.since - span, until=wanted.since)
    steps = analytics.series(wanted, granularity)
    is_long = granularity == Granularity.HOUR and span > _A_DAY
    days = analytics.series(wanted, Granularity.DAY) if is_long else steps
    return {
        "summary": analytics.summary(wanted),
        "before": analytics.summary(before),
        "series": [_step(at.isoformat(), one) for at, one in steps],
        "days": [_step(at.isoformat(), one) for at, one in days],
        "week": analytics.week(wanted),
        "providers": _leaders(wanted, Dimension.PROVIDER),
        "templates": _leaders(wanted, Dimension.TEMPLATE),
    }


def _step(at: str, figures: Figures) -> dict[str, Any]:
    """As little as the chart needs: there can be a thousand."""
    shown = ("accepted", "sent", "delivered", "bounced")
    return {
        "at": at,
        **{name: figures[name] for name in shown},
        "failed": figures["failed"]["total"],
        "opened": figures["opened"],
        "within_10s": figures["handed"]["within_10s"],
        "p95": figures["handed"]["p95"],
    }


def _leaders(wanted: Question, by: Dimension) -> list[Mapping[str, Any]]:
    order = "calls" if by is Dimension.PROVIDER else "sent"
    return [vars(one) for one in analytics.top(wanted, by, order, _LEADERS)]
