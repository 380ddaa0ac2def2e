"""What the engine tells Prometheus. Read from PostgreSQL: every web process says the same."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from commsproject.common import valkey
from commsproject.common.metrics import collector
from notifications import breaker
from notifications import limits as rate_limits
from notifications.breaker import Gate, Health
from notifications.models import Attempt, DeadLetter, ProviderState
from notifications.providers import registry
from notifications.services import metrics

_WAITING = {
    "due": "Deliveries that wait for a worker.",
    "oldest_seconds": "How long the first of them waits.",
    "in_flight": "Deliveries of chunks that a worker has claimed.",
    "throttled": "Deliveries that wait for leave of a rate limit or cap.",
    "throttled_seconds": "How long the first of them waits.",
    "later": "Deliveries due at a later time: scheduled, or to be tried again.",
    "held": "Deliveries of batches that are paused or wait.",
    "suspects": "Deliveries with which workers died, among the others.",
}
_DONE = {
    "sent": "Calls accepted in the minute before the newest sample.",
    "retried": "Calls of that minute that were not a delivery's first.",
    "dead": "Deliveries given up in that minute.",
}
_GATES = {Gate.OPEN_ROAD: "closed", Gate.PROBE: "half_open", Gate.SHUT: "open"}


@collector
def queue() -> Iterable[Metric]:
    """How each lane stands."""
    lanes = metrics.by_lane(metrics.depths())
    for name, text in _WAITING.items():
        family = GaugeMetricFamily(f"comms_queue_{name}", text, labels=["lane"])
        for lane, figures in lanes.items():
            family.add_metric([lane.value], getattr(figures, name))
        yield family


@collector
def leftovers() -> Iterable[Metric]:
    return [
        GaugeMetricFamily(
            "comms_queue_dead_rows",
            "Rows of the queue that are done and not cleared away.",
            value=metrics.dead_rows(),
        )
    ]


@collector
def speed() -> Iterable[Metric]:
    """From the newest sample; nothing where it is older than two minutes."""
    newest = {row.lane: row for row in metrics.samples(2 * metrics.MINUTE)}
    for name, text in _DONE.items():
        family = GaugeMetricFamily(f"comms_queue_{name}_per_minute", text, labels=["lane"])
        for lane, row in newest.items():
            family.add_metric([lane], getattr(row, name))
        yield family


@collector
def attempts() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "comms_attempts_per_minute",
        "Provider calls that began in the last minute.",
        labels=["provider", "outcome"],
    )
    counts = metrics.calls()
    for provider in registry.enabled():
        for outcome in Attempt.State:
            family.add_metric([provider, outcome.value], counts.pop((provider, outcome), 0))
    for (provider, outcome), n in counts.items():
        family.add_metric([provider, outcome.value], n)
    return [family]


@collector
def unmapped() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "comms_unmapped_codes_per_minute",
        "Calls of the last minute that ended with an error no table knows: add it to one.",
        labels=["provider", "code"],
    )
    for (provider, code), n in metrics.unmapped().items():
        family.add_metric([provider, code], n)
    return [family]


@collector
def dead_letters() -> Iterable[Metric]:
    waiting = DeadLetter.objects.filter(replayed_at__isnull=True).count()
    return [GaugeMetricFamily("comms_dead_letters", "Given up and not replayed.", value=waiting)]


@collector
def limits() -> Iterable[Metric]:
    """Without Valkey nobody here knows how the buckets stand: then there is none."""
    up = GaugeMetricFamily("comms_valkey_up", "1 where Valkey answers.", labels=[])
    standings = rate_limits.state(ProviderState.objects.all())
    try:  # last: whoever had no answer to the above is not asked again, and knows only its own share
        valkey.ask(lambda client: client.ping(), what="metrics")
    except valkey.Away:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    free = GaugeMetricFamily(
        "comms_rate_limit_free", "Calls or recipients that may go now.", labels=["bucket"]
    )
    count = GaugeMetricFamily(
        "comms_rate_limit_count", "The limit: so many in its seconds.", labels=["bucket"]
    )
    promised = GaugeMetricFamily(
        "comms_rate_limit_promised_seconds", "How far ahead turns are promised.", labels=["bucket"]
    )
    for standing in standings:
        free.add_metric([standing.bucket.name], standing.free)
        count.add_metric([standing.bucket.name], standing.bucket.count)
        promised.add_metric([standing.bucket.name], standing.promised)
    return [up, free, count, promised]


@collector
def providers() -> Iterable[Metric]:
    """Every provider that is configured, also one that never failed."""
    enabled = GaugeMetricFamily(
        "comms_provider_enabled", "0 where staff switched it off.", labels=["provider"]
    )
    failures = GaugeMetricFamily(
        "comms_provider_failures", "Failures in a row, up to now.", labels=["provider"]
    )
    gates = GaugeMetricFamily(
        "comms_provider_breaker", "1 for the state it is in.", labels=["provider", "state"]
    )
    weights = GaugeMetricFamily(
        "comms_provider_weight", "Its share, as its health lets it have it.", labels=["provider"]
    )
    rows = {row.name: row for row in ProviderState.objects.all()}
    now = timezone.now()
    for name in registry.enabled():
        row = rows.get(name) or ProviderState(name=name)
        enabled.add_metric([name], row.enabled)
        failures.add_metric([name], row.failures)
        weights.add_metric([name], row.weight * row.health / 100)
        health = Health(row.failures, row.opened_until, row.probe_until, row.reason)
        for gate, state in _GATES.items():
            gates.add_metric([name, state], breaker.gate(health, now) is gate)
    return [enabled, failures, gates, weights]
