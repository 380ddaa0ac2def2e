"""`/metrics` for Prometheus: what this process counts, and what collectors read from PostgreSQL.

A collector is a function with `@collector` in an app's `metrics.py`; it is called at each scrape
of a web process, so it asks for little. What a process counts itself is in `own`, and all that a
worker or a scheduler tells (`metrics_port`): docs/subsystems/metrics.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import autodiscover_modules
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from commsproject.common.api import problems
from commsproject.common.errors import CommsError, NotFound, ServiceUnavailable
from commsproject.common.models import ScheduledJob

PATH = "/metrics"
NO_ROUTE = "none"
"""Of requests that no pattern of ours answers: static files and paths that do not exist."""

log = structlog.get_logger(__name__)
registry = CollectorRegistry()
own = CollectorRegistry()
"""Of this process, of whichever kind it is."""
disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nobody

_LOOPBACK = {"127.0.0.1", "::1"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_requests = Counter(
    "comms_http_requests",
    "Requests answered by this process.",
    ["method", "route", "status"],
    registry=own,
)
_seconds = Histogram(
    "comms_http_request_seconds",
    "How long this process took to answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=own,
)
ProcessCollector(registry=own)
PlatformCollector(registry=own)
GCCollector(registry=own)

Collect = Callable[[], Iterable[Metric]]


class _Asked(Collector):
    """A collector for prometheus-client."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    @override
    def collect(self) -> Iterable[Metric]:
        return self._collect()


def collector(function: Collect) -> Collect:
    """Register a function of no arguments that is called at each scrape."""
    registry.register(_Asked(function))
    return function


@collector
def _jobs() -> Iterable[Metric]:
    age = GaugeMetricFamily(
        "comms_job_last_run_age_seconds", "Since the last run of a job began.", labels=["job"]
    )
    failed = GaugeMetricFamily(
        "comms_job_failed", "1 where the last run of a job ended with an error.", labels=["job"]
    )
    now = timezone.now()
    for job in ScheduledJob.objects.filter(last_run_at__isnull=False):
        assert job.last_run_at is not None  # noqa: S101 - for the type checker: filtered above
        age.add_metric([job.name], (now - job.last_run_at).total_seconds())
        failed.add_metric([job.name], bool(job.last_error))
    return [age, failed]


class MetricsMiddleware:
    """Counts requests by route, and answers `/metrics` before anything asks for the host: scrapers
    call by address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == PATH:
            return answer(request, _text)
        started = time.monotonic()
        response = self.get_response(request)
        match = request.resolver_match
        count_request(
            request.method, match.route if match else NO_ROUTE, response.status_code, started
        )
        return response


def count_request(method: str | None, route: str, status: int, started: float) -> None:
    _requests.labels(method if method in _METHODS else "other", route, status).inc()
    _seconds.labels(route).observe(time.monotonic() - started)


def answer(request: HttpRequest, text: Callable[[], bytes]) -> HttpResponse:
    """`text` to who may read it."""
    try:
        if request.path != PATH:
            raise NotFound
        _check_access(request)
        return HttpResponse(text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except problems.Unauthenticated as error:
        return problems.answer(error, {"WWW-Authenticate": "Bearer"})
    except CommsError as error:
        return problems.answer(error)


def _check_access(request: HttpRequest) -> None:
    """With a token for those who have it; without one for the developer's own machine."""
    if token := settings.METRICS_TOKEN:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not constant_time_compare(given.strip(), token):
            raise problems.Unauthenticated("Send METRICS_TOKEN as a bearer token.")
    elif not (settings.DEVELOPMENT and request.META.get("REMOTE_ADDR") in _LOOPBACK):
        raise problems.Forbidden("Metrics are closed until METRICS_TOKEN is set.")


def own_text() -> bytes:
    return generate_latest(own)


def _text() -> bytes:
    """Raises ServiceUnavailable: half of the numbers would look like the whole."""
    autodiscover_modules("metrics")
    try:
        return own_text() + generate_latest(registry)
    except (OperationalError, InterfaceError) as error:
        log.warning("no metrics without the database", error=type(error).__name__)
        raise ServiceUnavailable("The database cannot be reached; try again.") from None
