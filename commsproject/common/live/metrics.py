"""The sockets of this process on `/metrics`. `CommonConfig.ready` imports this."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from commsproject.common.live import publish
from commsproject.common.live.counts import counts
from commsproject.common.metrics import collector


@collector
def sockets() -> Iterable[Metric]:
    frames = CounterMetricFamily("comms_live_frames", "Frames of sockets.", labels=["direction"])
    frames.add_metric(["received"], counts.received)
    frames.add_metric(["sent"], counts.sent)
    refused = CounterMetricFamily(
        "comms_live_refused_frames", "Frames answered with an error.", labels=["code"]
    )
    for code, number in counts.refused.items():
        refused.add_metric([code], number)
    closed = CounterMetricFamily(
        "comms_live_closed", "Sockets that we closed, by reason.", labels=["reason"]
    )
    for reason, number in counts.closed.items():
        closed.add_metric([reason], number)
    dropped = CounterMetricFamily(
        "comms_live_dropped",
        "Frames that may be lost and were, and notes that the broker did not get.",
        labels=["what"],
    )
    dropped.add_metric(["frame"], counts.dropped)
    dropped.add_metric(["note"], publish.dropped())
    return [
        GaugeMetricFamily("comms_live_sockets", "Open sockets.", value=counts.sockets),
        CounterMetricFamily("comms_live_opened", "Sockets opened.", value=counts.opened),
        CounterMetricFamily(
            "comms_live_refused_handshakes",
            "Handshakes refused for their origin or subprotocol.",
            value=counts.refused_handshakes,
        ),
        CounterMetricFamily(
            "comms_live_resyncs", "Times a client was told to fetch by REST.", value=counts.resyncs
        ),
        CounterMetricFamily(
            "comms_live_resubscribed",
            "Times the channel layer was silent and was subscribed to anew.",
            value=counts.resubscribed,
        ),
        frames,
        refused,
        closed,
        dropped,
    ]
