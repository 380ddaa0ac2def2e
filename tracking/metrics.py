"""What rules of alerts look at, for Prometheus: with `deploy/prometheus/rules.yml` it can tell the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from commsproject.common import alerts
from commsproject.common.alerts import counts
from commsproject.common.metrics import collector
from commsproject.common.models import AlertNotice, Severity

WINDOW = timedelta(minutes=5)


@collector
def recent() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "comms_recent",
        "Counted in the last five minutes, by channel or provider.",
        labels=["what", "subject"],
    )
    now = timezone.now()
    for what, subjects in counts.between(now - WINDOW, now).items():
        for subject, n in subjects.items():
            family.add_metric([what.value, subject], n)
    return [family]


@collector
def standing_alerts() -> Iterable[Metric]:
    family = GaugeMetricFamily("comms_alerts", "Alerts that stand.", labels=["severity"])
    found = dict(alerts.standing().order_by().values_list("severity").annotate(n=Count("id")))
    for severity in Severity:
        family.add_metric([severity.value], found.get(severity.value, 0))
    return [family]


@collector
def untold_alerts() -> Iterable[Metric]:
    waiting = AlertNotice.objects.filter(next_try_at__isnull=False, tries__gt=1).count()
    text = "Notices of alerts that their target has refused more than once."
    return [GaugeMetricFamily("comms_alert_notices_refused", text, value=waiting)]
